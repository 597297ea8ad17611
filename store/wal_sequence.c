/* wal_sequence.c - see wal_sequence.h. */
#include "store/wal_sequence.h"

#include "store/wal_block.h"

#include <string.h>

enum record_type { WAL_WHOLE = 1, WAL_FIRST = 2, WAL_MIDDLE = 3, WAL_LAST = 4 };

static uint64_t u64le(const uint8_t *p, size_t bytes)
{
	uint64_t v = 0;

	for (size_t i = bytes; i > 0; i--)
		v = v << 8 | p[i - 1];
	return v;
}

static void take_header(struct wal_sequence *s, const uint8_t *data, size_t len)
{
	size_t n = WAL_COMMIT_BYTES - s->have < len ? WAL_COMMIT_BYTES - s->have : len;

	memcpy(s->header + s->have, data, n);
	s->have += n;
	if (s->have < WAL_COMMIT_BYTES || s->has_first)
		return;
	s->has_first = true;
	s->first = u64le(s->header, 8);
}

static void take_record(struct wal_sequence *s, int type, const uint8_t *data, size_t len)
{
	if (type == WAL_WHOLE || type == WAL_FIRST)
		s->have = 0;
	take_header(s, data, len);
	if ((type == WAL_WHOLE || type == WAL_LAST) && s->have == WAL_COMMIT_BYTES) {
		s->has_commit = true;
		s->next = u64le(s->header, 8) + u64le(s->header + 8, 4);
	}
}

void wal_sequence_read(struct wal_sequence *s, const uint8_t *block, size_t len)
{
	for (size_t at = 0; at + WAL_HEADER_BYTES <= len;) {
		size_t bytes = (size_t)block[at + 4] | (size_t)block[at + 5] << 8;
		int type = block[at + 6];
		at += WAL_HEADER_BYTES;
		if (type < WAL_WHOLE || type > WAL_LAST || bytes > len - at)
			return;
		take_record(s, type, block + at, bytes);
		at += bytes;
	}
}

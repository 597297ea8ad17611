/* wal_block.c - see wal_block.h. */
#include "store/wal_block.h"

#include "store/crc.h"

uint32_t wal_salt(uint64_t number)
{
	return (uint32_t)number * UINT32_C(0x9E3779B1); /* odd: no two numbers meet */
}

static uint32_t get_le32(const uint8_t *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put_le32(uint8_t *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (uint8_t)(v >> (8 * i));
}

static size_t content_bytes(const uint8_t *header)
{
	return (size_t)header[4] | (size_t)header[5] << 8;
}

static size_t least(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Passes n bytes of the block. */
static void pass(struct wal_stream *s, size_t n)
{
	s->in_block += n;
	if (s->in_block == WAL_BLOCK_BYTES)
		s->in_block = 0;
}

static void pass_header(struct wal_stream *s, uint32_t salt, struct slice data, uint8_t *out,
			size_t *len)
{
	size_t n = least(WAL_HEADER_BYTES - s->head, data.len);

	*len = n;
	memcpy(s->header + s->head, data.data, n);
	for (size_t i = 0; i < n && i < WAL_HEADER_BYTES;
	     i++) { /* the second is for the compiler */
		size_t at = s->head + i;
		out[i] = (uint8_t)(data.data[i] ^ (at < 4 ? salt >> (8 * at) : 0));
	}
	s->head += n;
	if (s->head < WAL_HEADER_BYTES)
		return;
	s->left = content_bytes(s->header);
	s->head = 0;
}

bool wal_stream_next(struct wal_stream *s, uint32_t salt, struct slice data, uint8_t *out,
		     size_t *len)
{
	size_t room = WAL_BLOCK_BYTES - s->in_block;

	if (s->left > 0) {
		*len = least(s->left, data.len);
		s->left -= *len;
		pass(s, *len);
		return false;
	}
	if (s->head == 0 && room < WAL_HEADER_BYTES) {
		*len = least(room, data.len);
		pass(s, *len);
		return false;
	}
	pass_header(s, salt, data, out, len);
	pass(s, *len);
	return true;
}

/* The masked CRC that RocksDB stores. */
static uint32_t record_crc(const uint8_t *header)
{
	uint32_t crc = crc32c_finished(0, header + 6, 1 + content_bytes(header));

	return (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
}

size_t wal_block_unsalt(uint8_t *block, size_t len, uint32_t salt)
{
	size_t at = 0;

	while (at + WAL_HEADER_BYTES <= len) {
		uint8_t *header = block + at;
		size_t bytes = WAL_HEADER_BYTES + content_bytes(header);
		if (bytes > len - at || (get_le32(header) ^ salt) != record_crc(header))
			return at;
		put_le32(header, get_le32(header) ^ salt);
		at += bytes;
	}
	/* what is too short for a header is padding, when the block is whole */
	return len == WAL_BLOCK_BYTES ? len : at;
}

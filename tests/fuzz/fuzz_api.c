/* fuzz_api.c - requests and responses of one API, -DFUZZED=API_<name>, from a peer that means harm.
 *
 * The first byte says which message: the version, plus 128 for a response. What can be read must come back
 * equal when it is written and read again, and reading takes no more memory than it is allowed.
 */
#include <assert.h>
#include <stdlib.h>

#include "tests/fuzz/fuzz.h"
#include "tests/unit/wire/values.h"
#include "wire/api.h"

#define ARENA_MAX (1 << 20)

struct message {
	const struct wire_api *api;
	const struct wire_desc *desc;
	int16_t version;
};

static enum ks_err read_message(const struct message *m, struct slice bytes, size_t arena_max,
				struct arena *arena, void *msg)
{
	struct wire_reader r;

	wire_reader_init(&r, bytes, m->version, m->api->first_flexible, arena, arena_max);
	enum ks_err err = wire_read(&r, m->desc, msg);
	/* Besides what it took there are the rest of each block and what is left of the last one. */
	assert(arena->total_bytes <= 2 * arena_max + 65536);
	assert(err == ERR_NONE || err == ERR_MALFORMED || err == ERR_TOO_LARGE);
	return err;
}

/* In memory of its own size, so that a read past the end is caught. */
static void check_again(const struct message *m, const void *msg)
{
	struct wire_out out = {0};
	struct arena arena = {0};
	void *again = xmalloc(m->desc->size);

	wire_write(&out, m->desc, msg, m->version, m->api->first_flexible);
	assert(out.ref_count == 0 && out.total == out.bytes.len);
	uint8_t *bytes = xmalloc(out.total);
	if (out.total)
		memcpy(bytes, out.bytes.data, out.total);
	assert(!read_message(m, slice_of(bytes, out.total), ARENA_MAX, &arena, again));
	assert(value_equal(m->desc, m->version, msg, again));
	free(bytes);
	free(again);
	wire_out_fini(&out);
	arena_fini(&arena);
}

static void run(const struct message *m, struct slice bytes)
{
	void *msg = xmalloc(m->desc->size);
	struct arena arena = {0};

	read_message(m, bytes, 1024, &arena, msg);
	arena_fini(&arena);
	if (read_message(m, bytes, ARENA_MAX, &arena, msg) == ERR_NONE)
		check_again(m, msg);
	arena_fini(&arena);
	free(msg);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct message m = {.api = wire_api_find(FUZZED)};

	if (size == 0)
		return 0;
	m.desc = data[0] & 128 ? m.api->response() : m.api->request();
	m.version = data[0] & 127;
	if (m.version >= m.api->version_min && m.version <= m.api->version_max)
		run(&m, slice_of(data + 1, size - 1));
	return 0;
}

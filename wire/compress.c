/* compress.c - the table of codecs, each thread's states, the cap; see compress.h and codec.h. */
#include "wire/compress.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "wire/codec.h"

#define GROWTH_BYTES_MIN 4096
#define INPUT_BYTES_MAX                                                                            \
	((size_t)INT32_MAX) /* no Kafka length is larger; zlib counts in 32 bits                   \
			     */

static const struct codec_impl *const impls[CODEC_COUNT] = {
	[CODEC_GZIP] = &codec_gzip,
	[CODEC_SNAPPY] = &codec_snappy,
	[CODEC_LZ4] = &codec_lz4,
	[CODEC_ZSTD] = &codec_zstd,
};

static const char *const names[CODEC_COUNT] = {
	[CODEC_NONE] = "none", [CODEC_GZIP] = "gzip", [CODEC_SNAPPY] = "snappy",
	[CODEC_LZ4] = "lz4",   [CODEC_ZSTD] = "zstd",
};

const char *codec_name(enum codec c)
{
	return (unsigned)c < CODEC_COUNT ? names[c] : "unknown";
}

bool codec_from_name(const char *name, enum codec *c)
{
	if (strcmp(name, "uncompressed") == 0)
		name = names[CODEC_NONE];
	for (unsigned i = 0; i < CODEC_COUNT; i++) {
		if (strcmp(name, names[i]) == 0) {
			*c = (enum codec)i;
			return true;
		}
	}
	return false;
}

/* One thread's states. C11 thread-locals have no destructor, a pthread key has: the key is set once
 * per thread and only to be told of its end. */
struct states {
	void *of[CODEC_COUNT];
};

static _Thread_local struct states *mine;
static pthread_key_t states_key;
static pthread_once_t states_once = PTHREAD_ONCE_INIT;

static void states_free(void *p)
{
	struct states *s = p;

	for (unsigned i = 0; i < CODEC_COUNT; i++) {
		if (s->of[i])
			impls[i]->state_free(s->of[i]);
	}
	free(s);
	mine = NULL;
}

static void states_key_new(void)
{
	int failed = pthread_key_create(&states_key, states_free);
	assert(!failed);
}

static void *state_of(enum codec c)
{
	if (!impls[c]->state_new)
		return NULL;
	if (!mine) {
		pthread_once(&states_once, states_key_new);
		mine = xcalloc(1, sizeof *mine);
		int failed = pthread_setspecific(states_key, mine);
		assert(!failed);
	}
	if (!mine->of[c])
		mine->of[c] = impls[c]->state_new();
	return mine->of[c];
}

size_t sink_room(struct sink *s)
{
	size_t used = s->out->len - s->start;
	size_t left = s->max + 1 - used;

	if (s->out->cap == s->out->len || !s->out->data) {
		size_t more = used > GROWTH_BYTES_MIN ? used : GROWTH_BYTES_MIN;
		buf_reserve(s->out, more < left ? more : left);
	}
	size_t room = s->out->cap - s->out->len;
	return room < left ? room : left;
}

enum ks_err sink_took(struct sink *s, size_t n)
{
	s->out->len += n;
	return s->out->len - s->start > s->max ? ERR_TOO_LARGE : ERR_NONE;
}

void codec_compress(enum codec c, struct slice in, struct buf *out)
{
	assert((unsigned)c < CODEC_COUNT && in.len <= INPUT_BYTES_MAX);
	if (c == CODEC_NONE)
		buf_append(out, in.data, in.len);
	else
		impls[c]->compress(state_of(c), in, out);
}

enum ks_err codec_decompress(enum codec c, struct slice in, size_t out_max, struct buf *out)
{
	if ((unsigned)c >= CODEC_COUNT)
		return ERR_UNSUPPORTED_COMPRESSION_TYPE;
	if (out_max > INPUT_BYTES_MAX)
		out_max = INPUT_BYTES_MAX;
	buf_reserve(out, 0); /* nothing comes out of some streams; even then out is not null */
	if (c == CODEC_NONE) {
		if (in.len > out_max)
			return ERR_TOO_LARGE;
		buf_append(out, in.data, in.len);
		return ERR_NONE;
	}
	if (in.len == 0 || in.len > INPUT_BYTES_MAX)
		return ERR_CORRUPT_MESSAGE;

	struct sink sink = {.out = out, .start = out->len, .max = out_max};
	enum ks_err err = impls[c]->decompress(state_of(c), in, &sink);
	if (err)
		out->len = sink.start;
	return err;
}

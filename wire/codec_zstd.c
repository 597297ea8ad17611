/* codec_zstd.c - zstd frames. Several frames in a row are one stream. */
#include "wire/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <zstd.h>

/* The largest window that a producer can ask for (level 22). zstd takes memory for it at once, but
 * touches only as much as comes out; a context that has become large is not kept. */
#define WINDOW_LOG_MAX    27
#define CONTEXT_BYTES_MAX ((size_t)8 << 20)

struct zstd {
	ZSTD_CCtx *compress;
	ZSTD_DCtx *decompress;
};

static void *zstd_new(void)
{
	return xcalloc(1, sizeof(struct zstd));
}

static void zstd_free(void *state)
{
	struct zstd *z = state;

	ZSTD_freeCCtx(z->compress);
	ZSTD_freeDCtx(z->decompress);
	free(z);
}

static void zstd_compress(void *state, struct slice in, struct buf *out)
{
	struct zstd *z = state;
	size_t bound = ZSTD_compressBound(in.len);

	if (!z->compress) {
		z->compress = ZSTD_createCCtx();
		assert(z->compress); /* out of memory */
	}
	buf_reserve(out, bound);
	size_t n = ZSTD_compressCCtx(z->compress, out->data + out->len, bound, in.data, in.len,
				     ZSTD_CLEVEL_DEFAULT);
	assert(!ZSTD_isError(n));
	out->len += n;
}

static ZSTD_DCtx *decompressor(struct zstd *z)
{
	if (!z->decompress) {
		z->decompress = ZSTD_createDCtx();
		assert(z->decompress); /* out of memory */
		ZSTD_DCtx_setParameter(z->decompress, ZSTD_d_windowLogMax, WINDOW_LOG_MAX);
	}
	ZSTD_DCtx_reset(z->decompress, ZSTD_reset_session_only);
	return z->decompress;
}

static enum ks_err stream(ZSTD_DCtx *d, struct slice in, struct sink *out)
{
	ZSTD_inBuffer from = {in.data, in.len, 0};

	for (;;) {
		ZSTD_outBuffer to = {NULL, sink_room(out), 0};
		to.dst = out->out->data + out->out->len;
		size_t hint = ZSTD_decompressStream(d, &to, &from);
		if (ZSTD_isError(hint))
			return ERR_CORRUPT_MESSAGE;
		enum ks_err err = sink_took(out, to.pos);
		if (err)
			return err;
		if (hint == 0 && from.pos == from.size)
			return ERR_NONE;
		if (from.pos == from.size && to.pos < to.size)
			return ERR_CORRUPT_MESSAGE; /* ends in the middle of a frame */
	}
}

static enum ks_err zstd_decompress(void *state, struct slice in, struct sink *out)
{
	struct zstd *z = state;
	enum ks_err err = stream(decompressor(z), in, out);

	if (ZSTD_sizeof_DCtx(z->decompress) > CONTEXT_BYTES_MAX) {
		ZSTD_freeDCtx(z->decompress);
		z->decompress = NULL;
	}
	return err;
}

const struct codec_impl codec_zstd = {zstd_new, zstd_free, zstd_compress, zstd_decompress};

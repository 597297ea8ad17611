/* codec_lz4.c - lz4's frame format. Several frames in a row are one stream. */
#include "wire/codec.h"

#include <assert.h>
#include <lz4frame.h>

static void *lz4_new(void)
{
	LZ4F_dctx *context;
	LZ4F_errorCode_t failed = LZ4F_createDecompressionContext(&context, LZ4F_VERSION);
	assert(!LZ4F_isError(failed)); /* out of memory */
	return context;
}

static void lz4_free(void *state)
{
	LZ4F_freeDecompressionContext(state);
}

static void lz4_compress(void *state, struct slice in, struct buf *out)
{
	/* The Java client refuses blocks that depend on each other. */
	static const LZ4F_preferences_t preferences = {
		.frameInfo = {.blockSizeID = LZ4F_max64KB, .blockMode = LZ4F_blockIndependent},
	};

	(void)state;
	size_t bound = LZ4F_compressFrameBound(in.len, &preferences);
	buf_reserve(out, bound);
	size_t n = LZ4F_compressFrame(out->data + out->len, bound, in.data, in.len, &preferences);
	assert(!LZ4F_isError(n));
	out->len += n;
}

static enum ks_err lz4_decompress(void *state, struct slice in, struct sink *out)
{
	LZ4F_resetDecompressionContext(state);
	for (;;) {
		size_t room = sink_room(out), wrote = room, read = in.len;
		size_t hint = LZ4F_decompress(state, out->out->data + out->out->len, &wrote,
					      in.data, &read, NULL);
		if (LZ4F_isError(hint))
			return ERR_CORRUPT_MESSAGE;
		enum ks_err err = sink_took(out, wrote);
		if (err)
			return err;
		in = slice_of(in.data + read, in.len - read);
		if (hint == 0 && in.len == 0)
			return ERR_NONE;
		if (in.len == 0 && wrote < room)
			return ERR_CORRUPT_MESSAGE; /* ends in the middle of a frame */
	}
}

const struct codec_impl codec_lz4 = {lz4_new, lz4_free, lz4_compress, lz4_decompress};

/* codec_gzip.c - gzip (RFC 1952) through zlib; several members in a row are one stream. */
#include "wire/codec.h"

#include <assert.h>
#include <stdlib.h>
#include <zlib.h>

#define WINDOW_BITS_GZIP (15 + 16) /* zlib's way to say: gzip wrapper, 32 KiB window */
#define MEMORY_LEVEL     8

struct gzip {
	z_stream deflate, inflate;
};

static void *gzip_new(void)
{
	struct gzip *z = xcalloc(1, sizeof *z);
	int failed = deflateInit2(&z->deflate, Z_DEFAULT_COMPRESSION, Z_DEFLATED, WINDOW_BITS_GZIP,
				  MEMORY_LEVEL, Z_DEFAULT_STRATEGY) != Z_OK ||
		     inflateInit2(&z->inflate, WINDOW_BITS_GZIP) != Z_OK;
	assert(!failed); /* out of memory */
	return z;
}

static void gzip_free(void *state)
{
	struct gzip *z = state;

	deflateEnd(&z->deflate);
	inflateEnd(&z->inflate);
	free(z);
}

static void gzip_compress(void *state, struct slice in, struct buf *out)
{
	z_stream *z = &((struct gzip *)state)->deflate;

	deflateReset(z);
	size_t bound = deflateBound(z, in.len);
	buf_reserve(out, bound);
	z->next_in = (Bytef *)in.data;
	z->avail_in = (uInt)in.len;
	z->next_out = out->data + out->len;
	z->avail_out = (uInt)bound;
	int status = deflate(z, Z_FINISH);
	assert(status == Z_STREAM_END);
	out->len += bound - z->avail_out;
}

static enum ks_err gzip_decompress(void *state, struct slice in, struct sink *out)
{
	z_stream *z = &((struct gzip *)state)->inflate;

	inflateReset(z);
	z->next_in = (Bytef *)in.data;
	z->avail_in = (uInt)in.len;
	for (;;) {
		size_t room = sink_room(out);
		z->next_out = out->out->data + out->out->len;
		z->avail_out = (uInt)room;
		int status = inflate(z, Z_NO_FLUSH);
		enum ks_err err = sink_took(out, room - z->avail_out);
		if (err)
			return err;
		if (status == Z_STREAM_END) {
			if (z->avail_in == 0)
				return ERR_NONE;
			inflateReset(z); /* another member follows */
		} else if (status != Z_OK || (z->avail_in == 0 && z->avail_out > 0)) {
			return ERR_CORRUPT_MESSAGE;
		}
	}
}

const struct codec_impl codec_gzip = {gzip_new, gzip_free, gzip_compress, gzip_decompress};

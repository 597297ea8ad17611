/* codec_snappy.c - snappy, raw or in the framing of xerial's snappy-java, which the Java client
 * uses:
 *
 *   0  82 "SNAPPY" 00      8 bytes        16  length of chunk  i32 \ repeated
 *   8  version = 1         i32            20  raw snappy           / to the end
 *  12  compatible with = 1 i32
 *
 * The two cannot be confused: read as raw, the magic is a length of 10,626 and then a copy of bytes
 * that lie before the beginning.
 */
#include "wire/codec.h"

#include <assert.h>
#include <snappy-c.h>

#define XERIAL_HEADER_BYTES 16
#define XERIAL_CHUNK_BYTES  32768 /* plain bytes per chunk, as snappy-java's default */

/* One element of at least two bytes (tag and offset) copies at most 64 bytes. A larger claim is
 * refused before memory is reserved for it. */
#define EXPANSION_MAX       32

static const uint8_t xerial_header[XERIAL_HEADER_BYTES] = {
	0x82, 'S', 'N', 'A', 'P', 'P', 'Y', 0, 0, 0, 0, 1, 0, 0, 0, 1,
};
#define XERIAL_MAGIC_BYTES 8

static void compress_chunk(struct slice in, struct buf *out)
{
	size_t len = snappy_max_compressed_length(in.len);

	buf_reserve(out, 4 + len);
	uint8_t *p = out->data + out->len;
	snappy_status status = snappy_compress((const char *)in.data, in.len, (char *)p + 4, &len);
	assert(status == SNAPPY_OK);
	put_u32be(p, (uint32_t)len);
	out->len += 4 + len;
}

static void framed_compress(void *state, struct slice in, struct buf *out)
{
	(void)state;
	buf_append(out, xerial_header, sizeof xerial_header);
	while (in.len > 0) {
		size_t n = in.len < XERIAL_CHUNK_BYTES ? in.len : XERIAL_CHUNK_BYTES;
		compress_chunk(slice_of(in.data, n), out);
		in = slice_of(in.data + n, in.len - n);
	}
}

static enum ks_err raw_decompress(struct slice in, struct sink *s)
{
	size_t len;

	if (snappy_uncompressed_length((const char *)in.data, in.len, &len) != SNAPPY_OK)
		return ERR_CORRUPT_MESSAGE;
	if (len / EXPANSION_MAX > in.len)
		return ERR_CORRUPT_MESSAGE;
	if (len > s->max - (s->out->len - s->start))
		return ERR_TOO_LARGE;
	buf_reserve(s->out, len);
	char *to = (char *)s->out->data + s->out->len;
	if (snappy_uncompress((const char *)in.data, in.len, to, &len) != SNAPPY_OK)
		return ERR_CORRUPT_MESSAGE;
	return sink_took(s, len);
}

static enum ks_err framed_decompress(struct slice in, struct sink *s)
{
	while (in.len > 0) {
		if (in.len < 4)
			return ERR_CORRUPT_MESSAGE;
		size_t len = get_u32be(in.data);
		in = slice_of(in.data + 4, in.len - 4);
		if (len > in.len)
			return ERR_CORRUPT_MESSAGE;
		enum ks_err err = raw_decompress(slice_of(in.data, len), s);
		if (err)
			return err;
		in = slice_of(in.data + len, in.len - len);
	}
	return ERR_NONE;
}

static enum ks_err snappy_any_decompress(void *state, struct slice in, struct sink *s)
{
	(void)state;
	if (in.len < XERIAL_MAGIC_BYTES || memcmp(in.data, xerial_header, XERIAL_MAGIC_BYTES) != 0)
		return raw_decompress(in, s);
	if (in.len < XERIAL_HEADER_BYTES)
		return ERR_CORRUPT_MESSAGE;
	return framed_decompress(
		slice_of(in.data + XERIAL_HEADER_BYTES, in.len - XERIAL_HEADER_BYTES), s);
}

const struct codec_impl codec_snappy = {NULL, NULL, framed_compress, snappy_any_decompress};

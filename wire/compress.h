/* compress.h - Kafka's four codecs, each with a cap on what comes out.
 *
 * Numbers are those of the batch attributes. gzip is RFC 1952; snappy is raw or in the framing of
 * xerial's snappy-java (told apart by its magic), written framed as the Java client writes it; lz4
 * is the frame format; zstd frames. Contexts are reused per thread.
 */
#ifndef WIRE_COMPRESS_H
#define WIRE_COMPRESS_H

#include "base/err.h"
#include "base/mem.h"

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_SNAPPY, CODEC_LZ4, CODEC_ZSTD, CODEC_COUNT };

const char *codec_name(enum codec c);                  /* "none", "gzip", ... */
bool codec_from_name(const char *name, enum codec *c); /* also "uncompressed" */

/* Appends the compressed form of in to out. Level: the codec's default. */
void codec_compress(enum codec c, struct slice in, struct buf *out);

/* Appends the plain form of in to out, stopping as soon as it would exceed out_max bytes (2^31 - 1
 * at most). out->data is not null afterwards, even if nothing came out; on failure out->len is as
 * before. ERR_UNSUPPORTED_COMPRESSION_TYPE, ERR_CORRUPT_MESSAGE, ERR_TOO_LARGE */
enum ks_err codec_decompress(enum codec c, struct slice in, size_t out_max, struct buf *out);

#endif

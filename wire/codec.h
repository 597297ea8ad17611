/* codec.h - what one compression codec gives to compress.c; private to this folder.
 *
 * A codec's state (the library's contexts) belongs to one thread and is reused for every call; it
 * is made on the thread's first use and freed when the thread ends.
 */
#ifndef WIRE_CODEC_H
#define WIRE_CODEC_H

#include "base/err.h"
#include "base/mem.h"

/* Bounded output. A codec may write one byte more than max: that is how it notices that there is
 * more. */
struct sink {
	struct buf *out;
	size_t start; /* out->len before */
	size_t max;   /* bytes that may be added */
};

/* How many bytes (1 at least) may be written at out->data + out->len now. Grows the buffer as
 * output arrives, never because of a size that the input claims. */
size_t sink_room(struct sink *s);
/* Takes over n written bytes. ERR_TOO_LARGE: over the maximum. */
enum ks_err sink_took(struct sink *s, size_t n);

struct codec_impl {
	void *(*state_new)(void); /* NULL: needs none */
	void (*state_free)(void *state);
	void (*compress)(void *state, struct slice in, struct buf *out);
	/* in is not empty. On failure what has been added to the output is undone by the caller.
	 *   ERR_CORRUPT_MESSAGE, ERR_TOO_LARGE */
	enum ks_err (*decompress)(void *state, struct slice in, struct sink *out);
};

extern const struct codec_impl codec_gzip, codec_snappy, codec_lz4, codec_zstd;

#endif

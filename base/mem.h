/* mem.h - allocation that cannot fail, slices, growable buffers, refcounted frames, arenas.
 *
 * Small objects abort when memory is out (xmalloc). Sizes that a peer, a script or a file chooses
 * are bounded by the caller before they come here.
 *
 * Every buf and frame has PAD_BYTES spare bytes behind its contents, so that a SIMD parser may read
 * (never use) past the end of a value that lies in one.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PAD_BYTES 64

/* Never NULL, not even for 0 bytes; release with free(). xcalloc: zeroed. */
void *xmalloc(size_t size);
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrdup_trimmed(const char *s); /* without the blanks around it */
char *xasprintf(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Borrowed bytes. data == NULL is null (as in a Kafka key), which differs from empty. */
struct slice {
	const uint8_t *data;
	size_t len;
};

#define SLICE_NULL ((struct slice){NULL, 0})

static inline struct slice slice_of(const void *data, size_t len)
{
	return (struct slice){data, len};
}

static inline struct slice slice_str(const char *s)
{
	return (struct slice){(const uint8_t *)s, strlen(s)};
}

static inline bool slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.data == NULL) == (b.data == NULL) &&
	       (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

/* A copy with a NUL behind it; of null: "". free() it. */
char *slice_strdup(struct slice s);

/* Bytewise order, shorter first on a tie: RocksDB's order of keys. */
int slice_compare(struct slice a, struct slice b);

/* Growable bytes. Zero-initialise; release with buf_fini. */
struct buf {
	uint8_t *data;
	size_t len;
	size_t cap; /* without the padding */
};

void buf_fini(struct buf *b);
void buf_reserve(struct buf *b, size_t more); /* room for more bytes */
static inline void buf_append(struct buf *b, const void *data, size_t len)
{
	if (b->cap - b->len < len || !b->data)
		buf_reserve(b, len);
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
}
void buf_append_str(struct buf *b, const char *s);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
static inline void buf_append_u8(struct buf *b, uint8_t v)
{
	if (b->cap == b->len)
		buf_reserve(b, 1);
	b->data[b->len++] = v;
}
void buf_append_u16be(struct buf *b, uint16_t v);
void buf_append_u32be(struct buf *b, uint32_t v);
void buf_append_u64be(struct buf *b, uint64_t v);
static inline void buf_clear(struct buf *b)
{
	b->len = 0;
}
static inline struct slice buf_slice(const struct buf *b)
{
	return (struct slice){b->data, b->len};
}
/* NUL-terminates (not counted in len) and returns the text; valid until the next change. */
const char *buf_cstr(struct buf *b);

/* Reference-counted bytes that threads share. The contents are written before the frame is shared
 * and never after. */
struct frame {
	size_t len;
	size_t cap;
	_Atomic(uint32_t) refs; /* shared */
	uint32_t pins;          /* owner: whoever keeps count of the frames that it holds */
	uint8_t *data;          /* cap + PAD_BYTES: behind this struct, or what a buf had */
};

struct frame *frame_new(size_t cap); /* len 0, one reference */
struct frame *frame_copy(struct slice bytes);
/* Takes the contents of b, without a copy, as a frame; b is empty afterwards and may be used again. */
struct frame *frame_take_buf(struct buf *b);
/* Changes the capacity of a frame that frame_new made and nobody shares, at least to what it holds. Returns it; it may have
 * moved. */
struct frame *frame_resize(struct frame *f, size_t cap);
struct frame *frame_ref(struct frame *f);
void frame_unref(struct frame *f); /* f may be NULL */

/* Memory that is released all at once. Zero-initialise; arena_reset keeps the first block. */
struct arena {
	struct arena_block *head;
	size_t used; /* in head */
	size_t total_bytes;
	size_t first_block_bytes; /* 0: 64 KiB, as all others have */
};

void *arena_alloc(struct arena *a,
		  size_t size); /* 16-byte aligned, not zeroed, PAD_BYTES readable behind */
void *arena_copy(struct arena *a, const void *data, size_t len);
char *arena_strdup(struct arena *a, const char *s);
char *arena_text(struct arena *a, struct slice s); /* with a NUL behind it; of null: "" */
void arena_reset(struct arena *a);
void arena_fini(struct arena *a);

/* Big-endian integers at any alignment. */
static inline uint16_t get_u16be(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap16(v);
}
static inline uint32_t get_u32be(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap32(v);
}
static inline uint64_t get_u64be(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof v);
	return __builtin_bswap64(v);
}
static inline void put_u16be(void *p, uint16_t v)
{
	v = __builtin_bswap16(v);
	memcpy(p, &v, sizeof v);
}
static inline void put_u32be(void *p, uint32_t v)
{
	v = __builtin_bswap32(v);
	memcpy(p, &v, sizeof v);
}
static inline void put_u64be(void *p, uint64_t v)
{
	v = __builtin_bswap64(v);
	memcpy(p, &v, sizeof v);
}

#endif

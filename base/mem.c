/* mem.c - see mem.h. */
#include "base/mem.h"

#include <assert.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static void out_of_memory(size_t size)
{
	fprintf(stderr, "out of memory (%zu bytes asked for)\n", size);
	abort();
}

void *xmalloc(size_t size)
{
	void *p = malloc(size ? size : 1);
	if (!p)
		out_of_memory(size);
	return p;
}

void *xcalloc(size_t count, size_t size)
{
	void *p = calloc(count ? count : 1, size ? size : 1);
	if (!p)
		out_of_memory(count * size);
	return p;
}

void *xrealloc(void *p, size_t size)
{
	void *q = realloc(p, size ? size : 1);
	if (!q)
		out_of_memory(size);
	return q;
}

char *xstrdup(const char *s)
{
	size_t n = strlen(s) + 1;
	return memcpy(xmalloc(n), s, n);
}

char *xstrdup_trimmed(const char *s)
{
	static const char blanks[] = " \t\r\n";
	char *copy = xstrdup(s + strspn(s, blanks));
	size_t len = strlen(copy);

	while (len > 0 && strchr(blanks, copy[len - 1]))
		copy[--len] = 0;
	return copy;
}

char *xasprintf(const char *format, ...)
{
	va_list args;
	char *text;

	va_start(args, format);
	if (vasprintf(&text, format, args) < 0)
		out_of_memory(0);
	va_end(args);
	return text;
}

static char *text_at(char *to, struct slice s)
{
	if (s.len)
		memcpy(to, s.data, s.len);
	to[s.len] = 0;
	return to;
}

char *slice_strdup(struct slice s)
{
	return text_at(xmalloc(s.len + 1), s);
}

int slice_compare(struct slice a, struct slice b)
{
	size_t n = a.len < b.len ? a.len : b.len;
	int c = n ? memcmp(a.data, b.data, n) : 0;
	return c ? c : (a.len > b.len) - (a.len < b.len);
}

void buf_fini(struct buf *b)
{
	free(b->data);
	*b = (struct buf){0};
}

void buf_reserve(struct buf *b, size_t more)
{
	assert(more <= SIZE_MAX / 4 && b->len <= SIZE_MAX / 4);
	size_t want = b->len + more;
	if (want <= b->cap && b->data)
		return;
	size_t cap = b->cap ? b->cap : 128;
	while (cap < want)
		cap *= 2;
	b->data = xrealloc(b->data, cap + PAD_BYTES);
	b->cap = cap;
}

void buf_append_str(struct buf *b, const char *s)
{
	buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *format, ...)
{
	va_list args, again;

	va_start(args, format);
	va_copy(again, args);
	int n = vsnprintf(NULL, 0, format, args);
	assert(n >= 0);
	buf_reserve(b, (size_t)n + 1);
	vsnprintf((char *)b->data + b->len, (size_t)n + 1, format, again);
	b->len += (size_t)n;
	va_end(again);
	va_end(args);
}

void buf_append_u16be(struct buf *b, uint16_t v)
{
	uint8_t p[2];
	put_u16be(p, v);
	buf_append(b, p, sizeof p);
}

void buf_append_u32be(struct buf *b, uint32_t v)
{
	uint8_t p[4];
	put_u32be(p, v);
	buf_append(b, p, sizeof p);
}

void buf_append_u64be(struct buf *b, uint64_t v)
{
	uint8_t p[8];
	put_u64be(p, v);
	buf_append(b, p, sizeof p);
}

const char *buf_cstr(struct buf *b)
{
	buf_reserve(b, 1);
	b->data[b->len] = 0;
	return (const char *)b->data;
}

struct frame *frame_new(size_t cap)
{
	assert(cap <= SIZE_MAX / 4);
	struct frame *f = xmalloc(sizeof *f + cap + PAD_BYTES);
	f->len = 0;
	f->cap = cap;
	f->data = (uint8_t *)(f + 1);
	atomic_init(&f->refs, 1);
	f->pins = 0;
	return f;
}

struct frame *frame_resize(struct frame *f, size_t cap)
{
	assert(atomic_load_explicit(&f->refs, memory_order_relaxed) == 1 && f->len <= cap);
	assert(f->data == (uint8_t *)(f + 1) && cap <= SIZE_MAX / 4);
	f = xrealloc(f, sizeof *f + cap + PAD_BYTES);
	f->cap = cap;
	f->data = (uint8_t *)(f + 1);
	return f;
}

/* A buf doubles as it grows; what it did not use of that is given back when it is much. */
struct frame *frame_take_buf(struct buf *b)
{
	struct frame *f = xmalloc(sizeof *f);

	if (!b->data || b->cap - b->len > b->cap / 4) {
		b->data = xrealloc(b->data, b->len + PAD_BYTES);
		b->cap = b->len;
	}
	f->len = b->len;
	f->cap = b->cap;
	f->data = b->data;
	atomic_init(&f->refs, 1);
	f->pins = 0;
	*b = (struct buf){0};
	return f;
}

struct frame *frame_copy(struct slice bytes)
{
	struct frame *f = frame_new(bytes.len);
	if (bytes.len)
		memcpy(f->data, bytes.data, bytes.len);
	f->len = bytes.len;
	return f;
}

struct frame *frame_ref(struct frame *f)
{
	atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void frame_unref(struct frame *f)
{
	if (!f || atomic_fetch_sub_explicit(&f->refs, 1, memory_order_acq_rel) != 1)
		return;
	if (f->data != (uint8_t *)(f + 1))
		free(f->data);
	free(f);
}

struct arena_block {
	struct arena_block *next;
	size_t cap;
	_Alignas(16) uint8_t data[];
};

#define ARENA_BLOCK_BYTES 65536

static struct arena_block *block_new(size_t cap)
{
	struct arena_block *b = xmalloc(sizeof *b + cap + PAD_BYTES);
	b->cap = cap;
	b->next = NULL;
	return b;
}

void *arena_alloc(struct arena *a, size_t size)
{
	assert(size <= SIZE_MAX / 4);
	size = (size + 15) & ~(size_t)15;
	if (!a->head || a->used + size > a->head->cap) {
		size_t block =
			a->head || !a->first_block_bytes ? ARENA_BLOCK_BYTES : a->first_block_bytes;
		struct arena_block *b = block_new(size > block ? size : block);
		b->next = a->head;
		a->head = b;
		a->used = 0;
		a->total_bytes += b->cap;
	}
	void *p = a->head->data + a->used;
	a->used += size;
	return p;
}

void *arena_copy(struct arena *a, const void *data, size_t len)
{
	void *p = arena_alloc(a, len);
	if (len)
		memcpy(p, data, len);
	return p;
}

char *arena_strdup(struct arena *a, const char *s)
{
	return arena_copy(a, s, strlen(s) + 1);
}

char *arena_text(struct arena *a, struct slice s)
{
	return text_at(arena_alloc(a, s.len + 1), s);
}

void arena_reset(struct arena *a)
{
	if (!a->head)
		return;
	while (a->head->next) {
		struct arena_block *b = a->head;
		a->head = b->next;
		free(b);
	}
	a->used = 0;
	a->total_bytes = a->head->cap;
}

void arena_fini(struct arena *a)
{
	while (a->head) {
		struct arena_block *b = a->head;
		a->head = b->next;
		free(b);
	}
	*a = (struct arena){.first_block_bytes = a->first_block_bytes};
}

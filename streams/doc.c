/* doc.c - making and reading documents; see doc.h and doc_impl.h. */
#include "streams/doc_impl.h"

#include <assert.h>
#include <stdlib.h>

struct doc_parser *doc_parser_new(void)
{
	struct doc_parser *p = xmalloc(sizeof *p);
	p->scanner = json_scanner_new();
	assert(p->scanner);
	return p;
}

void doc_parser_free(struct doc_parser *p)
{
	if (!p)
		return;
	json_scanner_free(p->scanner);
	free(p);
}

void doc_reserve(struct doc *d, uint32_t more)
{
	if (d->cap - d->count >= more)
		return;
	uint32_t cap = d->count + more + d->count / 2;
	struct node *nodes = arena_alloc(d->arena, cap * sizeof *nodes);
	if (d->count)
		memcpy(nodes, d->nodes, d->count * sizeof *nodes);
	d->nodes = nodes;
	d->cap = cap;
}

enum ks_err doc_parse(struct doc_parser *p, struct arena *a, struct slice text, struct doc **out,
		      struct ks_why *why)
{
	if (text.len > DOC_TEXT_MAX)
		return ks_fail(why, ERR_TOO_LARGE, "JSON of %zu bytes is over the limit of %u",
			       text.len, DOC_TEXT_MAX);
	struct doc *d = arena_alloc(a, sizeof *d);
	*d = (struct doc){
		.arena = a,
		.parser = p,
		.text = text,
		.cursor.parent = DOC_NONE,
		.tail.parent = DOC_NONE,
	};
	enum ks_err err = doc_build(d, 0, text, DOC_DEPTH_MAX, why);
	if (err)
		return err;
	*out = d;
	return ERR_NONE;
}

uint32_t doc_nodes(const struct doc *d)
{
	return d->count;
}

struct arena *doc_arena(const struct doc *d)
{
	return d->arena;
}

static struct node *node_at(const struct doc *d, doc_node n)
{
	assert(n < d->count);
	return &d->nodes[n];
}

void doc_expand(struct doc *d, doc_node n)
{
	struct node *node = node_at(d, n);
	if (!(node->flags & NODE_RAW))
		return;
	node->flags &= (uint8_t)~NODE_RAW;
	/* The text came by an edit, whose caller promised valid JSON. */
	enum ks_err err = doc_build(d, n, slice_of(node->text, node->len), UINT32_MAX, NULL);
	assert(err == ERR_NONE);
}

enum doc_type doc_type(const struct doc *d, doc_node n)
{
	return (enum doc_type)node_at(d, n)->type;
}

static bool is_container(const struct node *n)
{
	return n->type >= DOC_ARRAY;
}

doc_node doc_first(struct doc *d, doc_node n)
{
	if (!is_container(node_at(d, n)))
		return DOC_NONE;
	doc_expand(d, n);
	return node_at(d, n)->child;
}

doc_node doc_next(struct doc *d, doc_node n)
{
	return node_at(d, n)->next;
}

doc_node doc_after(struct doc *d, doc_node container, doc_node n)
{
	/* A replaced node points to its successor in the same place, a removed one to what came
	 * next. */
	while (node_at(d, n)->flags & NODE_REPLACED)
		n = d->nodes[n].next;
	do
		n = node_at(d, n)->next;
	while (n != DOC_NONE && node_at(d, n)->parent != container);
	return n;
}

static bool key_is(const struct node *n, const char *name, size_t len)
{
	if (n->flags & NODE_KEY_ESCAPED)
		return json_string_is(n->key, n->key + n->key_len, name, len);
	if (n->key_len != len)
		return false;
	/* Most names of a length differ in their first letter. */
	return len == 0 || (*n->key == (uint8_t)*name && memcmp(n->key, name, len) == 0);
}

doc_node doc_member(struct doc *d, doc_node object, const char *name, size_t len)
{
	if (node_at(d, object)->type != DOC_OBJECT)
		return DOC_NONE;
	doc_node found = DOC_NONE;
	for (doc_node n = doc_first(d, object); n != DOC_NONE; n = d->nodes[n].next)
		if (key_is(&d->nodes[n], name, len))
			found = n;
	return found;
}

doc_node doc_element(struct doc *d, doc_node array, size_t index)
{
	if (node_at(d, array)->type != DOC_ARRAY)
		return DOC_NONE;
	struct doc_cursor c = {array, doc_first(d, array), 0};
	if (d->cursor.parent == array && d->cursor.index <= index)
		c = d->cursor;
	while (c.node != DOC_NONE && c.index < index) {
		c.node = d->nodes[c.node].next;
		c.index++;
	}
	if (c.node != DOC_NONE)
		d->cursor = c;
	return c.node;
}

size_t doc_length(struct doc *d, doc_node n)
{
	doc_node child = doc_first(d, n);
	if (child == DOC_NONE)
		return 0;
	if (d->tail.parent == n)
		return d->tail.index + 1;
	d->tail = (struct doc_cursor){n, child, 0};
	while ((child = d->nodes[child].next) != DOC_NONE) {
		d->tail.node = child;
		d->tail.index++;
	}
	return d->tail.index + 1;
}

static struct slice decode(struct doc *d, const uint8_t *p, uint32_t len)
{
	uint8_t *out = arena_alloc(d->arena, len);
	return slice_of(out, json_string_decode(p, p + len, out));
}

struct slice doc_name(struct doc *d, doc_node n)
{
	const struct node *node = node_at(d, n);
	if (!node->key)
		return SLICE_NULL;
	if (!(node->flags & NODE_KEY_ESCAPED))
		return slice_of(node->key, node->key_len);
	return decode(d, node->key, node->key_len);
}

/* Remembers a decoded string, so that reading it in a loop does not fill the arena. */
static uint32_t remember(struct doc *d, struct slice s)
{
	if (d->decoded_count == d->decoded_cap) {
		uint32_t cap = d->decoded_cap ? d->decoded_cap * 2 : 8;
		struct slice *decoded = arena_alloc(d->arena, cap * sizeof *decoded);
		if (d->decoded_count)
			memcpy(decoded, d->decoded, d->decoded_count * sizeof *decoded);
		d->decoded = decoded;
		d->decoded_cap = cap;
	}
	d->decoded[d->decoded_count] = s;
	return d->decoded_count++;
}

struct slice doc_string(struct doc *d, doc_node n)
{
	struct node *node = node_at(d, n);
	if (node->type != DOC_STRING)
		return SLICE_NULL;
	if (!(node->flags & NODE_ESCAPED))
		return slice_of(node->text + 1, node->len - 2);
	if (!(node->flags & NODE_DECODED)) {
		node->child = remember(d, decode(d, node->text + 1, node->len - 2));
		node->flags |= NODE_DECODED;
	}
	return d->decoded[node->child];
}

/* An integer's digits; false: beyond int64. */
static bool parse_i64(const uint8_t *p, size_t len, int64_t *out)
{
	bool negative = *p == '-';
	const uint8_t *end = p + len;
	uint64_t v = 0;

	p += negative;
	if (end - p > 19)
		return false;
	for (; p < end; p++)
		v = v * 10 + (uint64_t)(*p - '0'); /* 19 digits fit uint64 */
	if (v > (uint64_t)INT64_MAX + negative)
		return false;
	*out = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

char doc_number(struct doc *d, doc_node n, int64_t *i, double *f)
{
	const struct node *node = node_at(d, n);
	assert(node->type == DOC_NUMBER);
	if (node->flags & NODE_FLOAT)
		return json_f64_parse((const char *)node->text, node->len, f) ? 'f' : 'b';
	return parse_i64(node->text, node->len, i) ? 'i' : 'b';
}

struct slice doc_text(struct doc *d, doc_node n)
{
	const struct node *node = node_at(d, n);
	return slice_of(node->text, node->len);
}

bool doc_is_dirty(const struct doc *d)
{
	return d->nodes[0].flags & NODE_DIRTY;
}

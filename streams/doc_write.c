/* doc_write.c - documents back to text.
 *
 * Clean nodes are copied, dirty ones walked; clean siblings that stand side by side without spaces are copied as one
 * piece. The walk climbs by parents and siblings instead of recursing: a script can nest documents deeper than any
 * stack.
 */
#include "streams/doc_impl.h"

#include <assert.h>

static void write_key(const struct node *n, struct buf *out)
{
	if (!n->key)
		return;
	buf_append_u8(out, '"');
	buf_append(out, n->key, n->key_len);
	buf_append(out, "\":", 2);
}

static void write_closer(const struct node *n, struct buf *out)
{
	buf_append_u8(out, n->type == DOC_OBJECT ? '}' : ']');
}

/* Writes n, or its beginning if it must be walked; returns the child to go on with, if so. */
static doc_node write_node(const struct node *n, struct buf *out)
{
	if (!(n->flags & NODE_DIRTY)) {
		buf_append(out, n->text, n->len);
		return DOC_NONE;
	}
	buf_append_u8(out, n->type == DOC_OBJECT ? '{' : '[');
	if (n->child == DOC_NONE)
		write_closer(n, out);
	return n->child;
}

/* Where a node that was parsed begins in the source, with its name; NULL if it is not written as we would write it. */
static const uint8_t *compact_begin(const struct node *n)
{
	if (n->flags & (NODE_DIRTY | NODE_EDITED))
		return NULL;
	if (!n->key)
		return n->text;
	return n->text == n->key + n->key_len + 2 ? n->key - 1 : NULL; /* "name":value */
}

/* Writes n and the siblings after it that stand in the source as they are to be written; returns the last one. */
static doc_node write_run(const struct doc *d, doc_node n, const uint8_t *begin, struct buf *out)
{
	const struct node *last = &d->nodes[n];
	const uint8_t *end = last->text + last->len;

	while (last->next != DOC_NONE && compact_begin(&d->nodes[last->next]) == end + 1 &&
	       *end == ',') {
		n = last->next;
		last = &d->nodes[n];
		end = last->text + last->len;
	}
	buf_append(out, begin, (size_t)(end - begin));
	return n;
}

static void write_tree(const struct doc *d, doc_node root, struct buf *out)
{
	doc_node n = root;
	doc_node down = write_node(&d->nodes[n], out);
	for (;;) {
		if (down != DOC_NONE) {
			n = down;
		} else {
			while (n != root && d->nodes[n].next == DOC_NONE) {
				n = d->nodes[n].parent;
				write_closer(&d->nodes[n], out);
			}
			if (n == root)
				return;
			n = d->nodes[n].next;
			buf_append_u8(out, ',');
		}
		const uint8_t *begin = compact_begin(&d->nodes[n]);
		if (begin) {
			n = write_run(d, n, begin, out);
			down = DOC_NONE;
			continue;
		}
		write_key(&d->nodes[n], out);
		down = write_node(&d->nodes[n], out);
	}
}

void doc_write(struct doc *d, doc_node n, struct buf *out)
{
	assert(n < d->count);
	if (n == 0 && !doc_is_dirty(d))
		buf_append(out, d->text.data, d->text.len);
	else
		write_tree(d, n, out);
}

/* doc_edit.c - changing documents.
 *
 * A new value gets a new node; the old one is unlinked and becomes the root of a tree of its own.
 * Whoever still holds its number may read and change it without touching the document.
 */
#include "streams/doc_impl.h"

#include <assert.h>

static enum doc_type type_of_text(struct slice json)
{
	switch (json.data[0]) {
	case '{':
		return DOC_OBJECT;
	case '[':
		return DOC_ARRAY;
	case '"':
		return DOC_STRING;
	case 't':
		return DOC_TRUE;
	case 'f':
		return DOC_FALSE;
	case 'n':
		return DOC_NULL;
	default:
		return DOC_NUMBER;
	}
}

static bool has_byte(struct slice s, const char *set)
{
	for (; *set; set++)
		if (memchr(s.data, *set, s.len))
			return true;
	return false;
}

static struct slice trim(struct slice s)
{
	while (s.len && s.data[0] <= ' ') {
		s.data++;
		s.len--;
	}
	while (s.len && s.data[s.len - 1] <= ' ')
		s.len--;
	return s;
}

/* Makes json the value of a node, whose name and links stay. */
static void put_value(struct doc *d, struct node *n, struct slice json)
{
	json = trim(json);
	assert(json.len > 0 && json.len <= UINT32_MAX);
	n->text = arena_copy(d->arena, json.data, json.len);
	n->len = (uint32_t)json.len;
	n->type = (uint8_t)type_of_text(json);
	n->child = DOC_NONE;
	n->flags &= NODE_KEY_ESCAPED;
	n->flags |= NODE_EDITED;
	if (n->type >= DOC_ARRAY)
		n->flags |= NODE_RAW;
	else if (n->type == DOC_STRING && has_byte(json, "\\"))
		n->flags |= NODE_ESCAPED;
	else if (n->type == DOC_NUMBER &&
		 (has_byte(json, ".eE") || (json.len == 2 && memcmp(json.data, "-0", 2) == 0)))
		n->flags |= NODE_FLOAT;
}

/* A node of its own for json, not linked anywhere. May move the nodes. */
static doc_node new_value(struct doc *d, doc_node parent, struct slice json)
{
	assert(d->count < DOC_NODES_MAX);
	doc_reserve(d, 1);
	doc_node n = d->count++;
	d->nodes[n] = (struct node){.next = DOC_NONE, .parent = parent};
	put_value(d, &d->nodes[n], json);
	return n;
}

static void set_key(struct doc *d, doc_node n, struct slice name)
{
	struct buf quoted = {0};
	json_write_string(&quoted, name);
	assert(quoted.len <= UINT32_MAX);
	struct node *node = &d->nodes[n];
	node->key = arena_copy(d->arena, quoted.data + 1, quoted.len - 2);
	node->key_len = (uint32_t)(quoted.len - 2);
	if (memchr(node->key, '\\', node->key_len))
		node->flags |= NODE_KEY_ESCAPED;
	buf_fini(&quoted);
}

/* Ancestors of a dirty node are dirty already. */
static void mark_dirty(struct doc *d, doc_node n)
{
	while (n != DOC_NONE && !(d->nodes[n].flags & NODE_DIRTY)) {
		d->nodes[n].flags |= NODE_DIRTY;
		n = d->nodes[n].parent;
	}
}

/* What the cursors remember of parent is no longer so. */
static void forget(struct doc *d, doc_node parent)
{
	if (d->cursor.parent == parent)
		d->cursor.parent = DOC_NONE;
	if (d->tail.parent == parent)
		d->tail.parent = DOC_NONE;
}

/* The link that points to child: its parent's or its elder sibling's. */
static doc_node *link_to(struct doc *d, doc_node parent, doc_node child)
{
	doc_node *link = &d->nodes[parent].child;
	const struct doc_cursor *c = &d->cursor;
	if (c->parent == parent && d->nodes[c->node].next == child)
		return &d->nodes[c->node].next;
	while (*link != child)
		link = &d->nodes[*link].next;
	return link;
}

static void unlink_child(struct doc *d, doc_node parent, doc_node child)
{
	*link_to(d, parent, child) = d->nodes[child].next;
	d->nodes[child].parent = DOC_NONE;
	forget(d, parent);
	mark_dirty(d, parent);
}

/* Gives the child old a new value, and a new node if somebody may be looking into the old one. */
static doc_node replace_child(struct doc *d, doc_node parent, doc_node old, struct slice json)
{
	mark_dirty(d, parent);
	if (d->nodes[old].type < DOC_ARRAY) {
		put_value(d, &d->nodes[old], json);
		return old;
	}
	doc_node new = new_value(d, parent, json);
	struct node *was = &d->nodes[old], *is = &d->nodes[new];
	is->key = was->key;
	is->key_len = was->key_len;
	is->flags |= was->flags & NODE_KEY_ESCAPED;
	is->next = was->next;
	*link_to(d, parent, old) = new;
	was->next = new;
	was->flags |= NODE_REPLACED;
	was->parent = DOC_NONE;
	if (d->cursor.parent == parent && d->cursor.node == old)
		d->cursor.node = new;
	if (d->tail.parent == parent && d->tail.node == old)
		d->tail.node = new;
	return new;
}

static void append_child(struct doc *d, doc_node parent, doc_node child)
{
	if (doc_length(d, parent) == 0) {
		d->nodes[parent].child = child;
	} else {
		d->nodes[d->tail.node].next = child;
		d->tail.node = child;
		d->tail.index++;
	}
	mark_dirty(d, parent);
}

doc_node doc_set_member(struct doc *d, doc_node object, struct slice name, struct slice json)
{
	if (doc_type(d, object) != DOC_OBJECT)
		return DOC_NONE;
	doc_node old = doc_member(d, object, (const char *)name.data, name.len);
	if (old != DOC_NONE)
		return replace_child(d, object, old, json);
	doc_node n = new_value(d, object, json);
	set_key(d, n, name);
	append_child(d, object, n);
	return n;
}

void doc_remove_member(struct doc *d, doc_node object, struct slice name)
{
	doc_node n;
	/* All of them, or a repeated name would show its earlier value. */
	while ((n = doc_member(d, object, (const char *)name.data, name.len)) != DOC_NONE)
		unlink_child(d, object, n);
}

enum ks_err doc_set_element(struct doc *d, doc_node array, size_t index, struct slice json)
{
	if (doc_type(d, array) != DOC_ARRAY)
		return ERR_INVALID_ARGUMENT;
	size_t length = doc_length(d, array);
	if (index > length)
		return ERR_INVALID_ARGUMENT;
	if (index == length) {
		append_child(d, array, new_value(d, array, json));
		return ERR_NONE;
	}
	if (index > 0)
		doc_element(d, array, index - 1); /* leaves the cursor where link_to looks */
	doc_node old = index > 0 ? d->nodes[d->cursor.node].next : doc_first(d, array);
	replace_child(d, array, old, json);
	return ERR_NONE;
}

void doc_remove_last(struct doc *d, doc_node array)
{
	size_t length = doc_length(d, array);
	if (length == 0 || doc_type(d, array) != DOC_ARRAY)
		return;
	doc_node last = d->tail.node;
	if (length == 1) {
		unlink_child(d, array, last);
		return;
	}
	doc_node before = doc_element(d, array, length - 2);
	unlink_child(d, array, last);
	d->tail = d->cursor = (struct doc_cursor){array, before, length - 2};
}

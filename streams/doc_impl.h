/* doc_impl.h - how a document is kept; for the doc_*.c files alone.
 *
 *   text    {"id": 7, "tags": ["a", "b"]}
 *   nodes   0 object ---child--> 1 number ---next--> 2 array ---child--> 3 string ---next--> 4
 * string
 *
 * Nodes stand in document order when parsed; edits append new ones and unlink old ones, which live
 * on as detached trees for whoever still holds their number. A node whose text came by an edit is
 * RAW until somebody looks inside. DIRTY: a descendant changed, so text is out of date; all
 * ancestors are dirty too.
 */
#ifndef STREAMS_DOC_IMPL_H
#define STREAMS_DOC_IMPL_H

#include "streams/doc.h"
#include "streams/json_shim.h"

enum {
	NODE_DIRTY = 1,
	NODE_RAW = 2,
	NODE_ESCAPED = 4,     /* the string holds a backslash */
	NODE_KEY_ESCAPED = 8, /* the name does */
	NODE_FLOAT = 16,      /* the number has a fraction, an exponent or is -0 */
	NODE_REPLACED = 64,   /* detached; next is the node in its place */
	NODE_DECODED = 32,    /* the string's decoded form is decoded[child] */
	NODE_EDITED = 128,    /* its text came by an edit: it does not stand beside its siblings' */
};

struct node {
	const uint8_t *text; /* the value as written, from its first to its last byte */
	const uint8_t *key;  /* between the quotes, as written; NULL: not a member */
	uint32_t len;
	uint32_t key_len;
	doc_node child;
	doc_node next;
	doc_node parent; /* DOC_NONE: the root of a tree */
	uint8_t type;
	uint8_t flags;
};

/* Where the last look at an array or object ended, so that loops over indexes are not quadratic. */
struct doc_cursor {
	doc_node parent; /* DOC_NONE: nothing is remembered */
	doc_node node;
	size_t index; /* of node */
};

struct doc {
	struct arena *arena;
	struct doc_parser *parser;
	struct slice text;
	struct node *nodes;
	uint32_t count;
	uint32_t cap;
	struct slice *decoded;
	uint32_t decoded_count;
	uint32_t decoded_cap;
	struct doc_cursor cursor; /* of doc_element */
	struct doc_cursor tail;   /* the last child, of doc_length */
};

struct doc_parser {
	struct json_scanner *scanner;
};

#define DOC_NODES_MAX (1u << 24)

/* Builds the nodes of text, the value of node root (a new one if it is the next number), behind
 * those that d has. */
enum ks_err doc_build(struct doc *d, doc_node root, struct slice text, unsigned depth_max,
		      struct ks_why *why);
/* Room for more nodes; may move d->nodes. */
void doc_reserve(struct doc *d, uint32_t more);
/* Makes sure that the children of n, a container, are there. */
void doc_expand(struct doc *d, doc_node n);

/* --- json_string.c --- */

/* First byte that breaks an escape, or NULL. The span is simdjson's: between quotes and valid
 * UTF-8. */
const uint8_t *json_escapes_check(const uint8_t *p, const uint8_t *end);
/* Decodes a checked span to out, which has room for as many bytes; returns the length. */
size_t json_string_decode(const uint8_t *p, const uint8_t *end, uint8_t *out);
/* Whether a checked span decodes to name. */
bool json_string_is(const uint8_t *p, const uint8_t *end, const char *name, size_t len);

#endif

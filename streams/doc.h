/* doc.h - a JSON document: parsed lazily, edited copy-on-write, written back byte for byte where
 * untouched.
 *
 * A doc is a tree of nodes over the text it was parsed from. Parsing (simdjson, through
 * json_shim.h) validates the whole text and notes where every value begins and ends; strings and
 * numbers are decoded only when they are read. An edit replaces the text of a node and marks its
 * ancestors dirty; writing copies the text of every clean node and walks only the dirty ones. So an
 * untouched document costs one memcpy, and whatever the script did not touch - integers beyond 64
 * bits, 1.0, null, [], spaces - survives as it was.
 *
 * A doc belongs to one thread. It borrows its text, which must have PAD_BYTES readable bytes behind
 * it, and takes memory from the arena given at doc_parse; both must outlive it. Values are copied
 * at edits (value semantics): changing a table after it was stored in a document does not change
 * the document.
 */
#ifndef STREAMS_DOC_H
#define STREAMS_DOC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/utf8.h"

struct doc;
struct doc_parser; /* one per thread; holds simdjson's buffers */

typedef uint32_t doc_node; /* 0 is the root; DOC_NONE: no such node */
#define DOC_NONE UINT32_MAX

enum doc_type { DOC_NULL, DOC_FALSE, DOC_TRUE, DOC_NUMBER, DOC_STRING, DOC_ARRAY, DOC_OBJECT };

#define DOC_DEPTH_MAX 512
#define DOC_TEXT_MAX  (64u << 20) /* bytes */

struct doc_parser *doc_parser_new(void);
void doc_parser_free(struct doc_parser *p);

/* Parses and validates text. *out lives in the arena.
 *   ERR_DECODE  not JSON; why has what, and at which byte (as far as known)
 *   ERR_TOO_LARGE  deeper than DOC_DEPTH_MAX or longer than DOC_TEXT_MAX */
enum ks_err doc_parse(struct doc_parser *p, struct arena *a, struct slice text, struct doc **out,
		      struct ks_why *why);

uint32_t doc_nodes(const struct doc *d); /* how many there are: what one look may cost */
/* Where the document lives: whoever edits in a loop bounds its total_bytes. */
struct arena *doc_arena(const struct doc *d);

/* --- reading --- */
enum doc_type doc_type(const struct doc *d, doc_node n);
/* Member of an object by its decoded name, the last one if repeated; DOC_NONE: none, or not an
 * object. */
doc_node doc_member(struct doc *d, doc_node object, const char *name, size_t len);
/* Element of an array, from 0. O(index); iterate with first/next instead. */
doc_node doc_element(struct doc *d, doc_node array, size_t index);
size_t doc_length(struct doc *d, doc_node n);  /* members or elements; 0 for scalars */
doc_node doc_first(struct doc *d, doc_node n); /* first child or DOC_NONE */
doc_node doc_next(struct doc *d, doc_node n);  /* next sibling or DOC_NONE */
/* The child of container that follows n, a child of it or one that was replaced or removed since:
 * for loops that edit. */
doc_node doc_after(struct doc *d, doc_node container, doc_node n);
/* Decoded name of a member; valid as long as the arena. */
struct slice doc_name(struct doc *d, doc_node n);
/* Decoded string (escapes resolved); valid as long as the arena. */
struct slice doc_string(struct doc *d, doc_node n);
/* A number: 'i' an int64 in *i, 'f' a double in *f, 'b' beyond both (read doc_text): an integer
 * outside of int64, or 1e400. -0 is a double. */
char doc_number(struct doc *d, doc_node n, int64_t *i, double *f);
/* The JSON text of a clean node, as it stood in the source. For dirty ones use doc_write. */
struct slice doc_text(struct doc *d, doc_node n);

/* Follows a path "a.b[0].c"; DOC_NONE where it leads nowhere. Compile once. */
struct doc_path;
/* NULL and why if the path's syntax is wrong. */
struct doc_path *doc_path_new(const char *text, struct ks_why *why);
void doc_path_free(struct doc_path *p);
doc_node doc_find(struct doc *d, const struct doc_path *p);
doc_node doc_find_from(struct doc *d, doc_node n, const struct doc_path *p);
size_t doc_path_length(const struct doc_path *p); /* steps, at least one */
/* Step i: a member's name, or NULL and an *index. */
const char *doc_path_step(const struct doc_path *p, size_t i, size_t *len, size_t *index);

/* --- editing: json is valid JSON text, copied into the arena --- */
bool doc_is_dirty(const struct doc *d);
/* An array or object that is replaced or removed is detached: it can still be read and changed, and
 * is no longer part of the document. Slices read before an edit stay as they were. */

/* Sets a member of an object (added at the end when new). DOC_NONE: not an object. */
doc_node doc_set_member(struct doc *d, doc_node object, struct slice name, struct slice json);
/* Removes a member, each if its name is repeated. */
void doc_remove_member(struct doc *d, doc_node object, struct slice name);
/* Sets an element; index == length appends. ERR_INVALID_ARGUMENT beyond that. */
enum ks_err doc_set_element(struct doc *d, doc_node array, size_t index, struct slice json);
void doc_remove_last(struct doc *d, doc_node array);

/* Appends the document, or one node of it, to out. */
void doc_write(struct doc *d, doc_node n, struct buf *out);

/* --- writing JSON from C --- */

void json_write_string(struct buf *out,
		       struct slice utf8); /* quotes and escapes; invalid UTF-8 becomes U+FFFD */
void json_write_i64(struct buf *out, int64_t v);
/* Shortest text that reads back equal; whole numbers get ".0" so that they stay floats. NaN and
 * infinities: false. */
bool json_write_f64(struct buf *out, double v);

#endif

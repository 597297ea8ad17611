/* doc_build.c - from simdjson's index to nodes, in one pass and without recursion.
 *
 * The index holds where every punctuation mark, string and other scalar begins. What it does not
 * prove is proved here: the grammar of the marks, escapes, numbers and the three words. Numbers may
 * have any size, their text is kept. The way back up goes over the nodes' parents, so depth costs
 * no stack.
 */
#include "streams/doc_impl.h"

#include <assert.h>

/* The builder's fields live in registers as long as no function takes its address: this halves the time of a parse. */
#define INLINE static inline __attribute__((always_inline))

struct builder {
	struct doc *d;
	struct slice text;
	const uint32_t *at; /* where things begin; one more entry says where the text ends */
	size_t count;
	size_t i; /* the next one */
	const uint8_t
		*escape; /* the first backslash not before the next string, or the text's end */
	unsigned depth;
	const char *error;
	size_t error_at;
};

static bool fail(struct builder *b, const uint8_t *where, const char *error)
{
	b->error = error;
	b->error_at = (size_t)(where - b->text.data);
	return false;
}

static const uint8_t *here(const struct builder *b)
{
	return b->text.data + b->at[b->i];
}

/* The mark that begins at the next position, or 0 at the end. */
static uint8_t mark(const struct builder *b)
{
	return b->i < b->count ? *here(b) : 0;
}

static bool is_space(uint8_t c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Looks for a backslash in a string; checks escapes if there is one. */
INLINE bool find_escapes(struct builder *b, const uint8_t *p, const uint8_t *end, bool *escaped)
{
	const uint8_t *text_end = b->text.data + b->text.len;
	if (b->escape < p) {
		b->escape = memchr(p, '\\', (size_t)(text_end - p));
		if (!b->escape)
			b->escape = text_end;
	}
	*escaped = b->escape < end;
	if (!*escaped)
		return true;
	const uint8_t *bad = json_escapes_check(b->escape, end);
	return bad ? fail(b, bad, "an escape that JSON does not have") : true;
}

/* The string at the next position: its contents are [*from, *to). Nothing but space stands between
 * its closing quote and the position after it, or that would have a position of its own. */
INLINE bool take_string(struct builder *b, const uint8_t **from, const uint8_t **to, bool *escaped)
{
	const uint8_t *p = here(b) + 1;
	const uint8_t *end = b->text.data + b->at[b->i + 1] - 1;
	while (end >= p && is_space(*end))
		end--;
	if (end < p || *end != '"')
		return fail(b, p - 1, "a string without an end");
	*from = p;
	*to = end;
	b->i++;
	return find_escapes(b, p, end, escaped);
}

INLINE const uint8_t *skip_digits(const uint8_t *p, const uint8_t *limit)
{
	while (p < limit && is_digit(*p))
		p++;
	return p;
}

/* Where the number at p ends, or NULL. */
INLINE const uint8_t *scan_number(const uint8_t *p, const uint8_t *limit, uint8_t *flags)
{
	const uint8_t *first = p + (*p == '-');
	const uint8_t *end = skip_digits(first, limit);
	if (end == first || (*first == '0' && end - first > 1))
		return NULL;
	if (*p == '-' && *first == '0')
		*flags |= NODE_FLOAT;
	if (end < limit && *end == '.') {
		const uint8_t *fraction = end + 1;
		end = skip_digits(fraction, limit);
		if (end == fraction)
			return NULL;
		*flags |= NODE_FLOAT;
	}
	if (end < limit && (*end | 0x20) == 'e') {
		const uint8_t *exponent = end + 1;
		if (exponent < limit && (*exponent == '+' || *exponent == '-'))
			exponent++;
		end = skip_digits(exponent, limit);
		if (end == exponent)
			return NULL;
		*flags |= NODE_FLOAT;
	}
	return end;
}

static const uint8_t *scan_word(const uint8_t *p, const uint8_t *limit, const char *word)
{
	size_t len = strlen(word);
	return (size_t)(limit - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

/* A number or one of the words at the next position. */
INLINE bool take_scalar(struct builder *b, struct node *n)
{
	const uint8_t *p = here(b);
	const uint8_t *limit = b->text.data + b->at[b->i + 1];
	const uint8_t *end;

	switch (*p) {
	case 't':
		n->type = DOC_TRUE;
		end = scan_word(p, limit, "true");
		break;
	case 'f':
		n->type = DOC_FALSE;
		end = scan_word(p, limit, "false");
		break;
	case 'n':
		n->type = DOC_NULL;
		end = scan_word(p, limit, "null");
		break;
	default:
		if (*p != '-' && !is_digit(*p))
			return fail(b, p, "a value was expected here");
		n->type = DOC_NUMBER;
		end = scan_number(p, limit, &n->flags);
	}
	if (!end || (end < limit && !is_space(*end)))
		return fail(b, p,
			    n->type == DOC_NUMBER ? "a malformed number"
						  : "a value was expected here");
	n->len = (uint32_t)(end - p);
	b->i++;
	return true;
}

/* The name and colon at the next position. */
INLINE bool take_key(struct builder *b, struct node *n)
{
	const uint8_t *from, *to;
	bool escaped;

	if (mark(b) != '"')
		return fail(b, here(b), "a name in quotes was expected here");
	if (!take_string(b, &from, &to, &escaped))
		return false;
	n->key = from;
	n->key_len = (uint32_t)(to - from);
	if (escaped)
		n->flags |= NODE_KEY_ESCAPED;
	if (mark(b) != ':')
		return fail(b, here(b), "':' was expected here");
	b->i++;
	return true;
}

/* A new node below parent, which is DOC_NONE for none. */
INLINE struct node *add_node(struct doc *d, doc_node parent)
{
	assert(d->count < d->cap);
	struct node *n = &d->nodes[d->count++];
	*n = (struct node){.child = DOC_NONE, .next = DOC_NONE, .parent = parent};
	return n;
}

/* Starts a child of parent, with its name if that is an object. A complete text has room for all
 * its nodes; one that leaves many brackets open has not. */
INLINE bool begin_child(struct builder *b, doc_node parent)
{
	if (b->d->count == b->d->cap)
		return fail(b, b->text.data + b->text.len, "a bracket is not closed");
	struct node *n = add_node(b->d, parent);
	return b->d->nodes[parent].type == DOC_OBJECT ? take_key(b, n) : true;
}

/* The value at the next position, for node n. *open: it is a container with children to come. */
INLINE bool take_value(struct builder *b, doc_node index, unsigned depth_max, bool *open)
{
	struct node *n = &b->d->nodes[index];
	const uint8_t *from, *to;
	bool escaped;

	*open = false;
	n->text = here(b);
	switch (mark(b)) {
	case '"':
		n->type = DOC_STRING;
		if (!take_string(b, &from, &to, &escaped))
			return false;
		n->len = (uint32_t)(to + 1 - n->text);
		if (escaped)
			n->flags |= NODE_ESCAPED;
		return true;
	case '{':
	case '[':
		n->type = *n->text == '{' ? DOC_OBJECT : DOC_ARRAY;
		if (++b->depth > depth_max)
			return fail(b, n->text, NULL);
		b->i++;
		if (mark(b) == *n->text + 2) { /* in ASCII '}' is '{' + 2 and ']' is '[' + 2 */
			n->len = (uint32_t)(here(b) + 1 - n->text);
			b->depth--;
			b->i++;
			return true;
		}
		n->child = b->d->count;
		*open = true;
		return begin_child(b, index);
	default:
		return take_scalar(b, n);
	}
}

/* After a complete value: closes every container that ends here. *next: the sibling that follows,
 * begun with its name; DOC_NONE when the root is complete. */
INLINE bool take_end(struct builder *b, doc_node done, doc_node *next)
{
	while (b->depth > 0) {
		doc_node up = b->d->nodes[done].parent;
		struct node *parent = &b->d->nodes[up];
		uint8_t c = mark(b);
		if (c == ',') {
			b->i++;
			*next = b->d->nodes[done].next = b->d->count;
			return begin_child(b, up);
		}
		if (c != (parent->type == DOC_OBJECT ? '}' : ']'))
			return fail(b, here(b),
				    parent->type == DOC_OBJECT ? "',' or '}' was expected here"
							       : "',' or ']' was expected here");
		parent->len = (uint32_t)(here(b) + 1 - parent->text);
		b->i++;
		b->depth--;
		done = up;
	}
	*next = DOC_NONE;
	return b->i == b->count ? true : fail(b, here(b), "something follows the value");
}

INLINE bool build(struct builder *b, doc_node root, unsigned depth_max)
{
	doc_node n = root;
	while (n != DOC_NONE) {
		bool open;
		if (!take_value(b, n, depth_max, &open))
			return false;
		if (open)
			n = b->d->count - 1;
		else if (!take_end(b, n, &n))
			return false;
	}
	return true;
}

/* Says where the scan's complaint is; slow, for errors only. */
static enum ks_err explain_scan(enum json_scan scan, struct slice text, struct ks_why *why)
{
	const uint8_t *p = text.data, *end = p + text.len;
	const uint8_t *quote = NULL; /* of the string we are in */

	if (scan == JSON_SCAN_EMPTY)
		return ks_fail(why, ERR_DECODE, "not JSON: the text is empty");
	if (scan == JSON_SCAN_MEMORY)
		return ks_fail(why, ERR_TOO_LARGE, "no memory to parse %zu bytes of JSON",
			       text.len);
	while (p < end) {
		size_t n = utf8_sequence(p, end);
		if (scan == JSON_SCAN_UTF8 && n == 0)
			return ks_fail(why, ERR_DECODE, "not JSON: invalid UTF-8 at byte %zu",
				       (size_t)(p - text.data));
		if (scan == JSON_SCAN_CONTROL && quote && *p < 0x20)
			return ks_fail(why, ERR_DECODE,
				       "not JSON: a control character in a string at byte %zu",
				       (size_t)(p - text.data));
		if (*p == '\\' && end - p > 1)
			p++;
		else if (*p == '"')
			quote = quote ? NULL : p;
		p += n > 0 ? n : 1;
	}
	if (scan == JSON_SCAN_UNCLOSED && quote)
		return ks_fail(why, ERR_DECODE, "not JSON: a string without an end at byte %zu",
			       (size_t)(quote - text.data));
	return ks_fail(why, ERR_DECODE, "not JSON: %s",
		       scan == JSON_SCAN_UNCLOSED ? "a string without an end"
						  : "a control character in a string");
}

enum ks_err doc_build(struct doc *d, doc_node root, struct slice text, unsigned depth_max,
		      struct ks_why *why)
{
	struct builder b = {.d = d, .text = text};
	enum json_scan scan =
		json_scanner_scan(d->parser->scanner, text.data, text.len, &b.at, &b.count);
	if (scan != JSON_SCAN_OK)
		return explain_scan(scan, text, why);

	/* Before every node but the root stands a mark of its own. */
	size_t more = (b.count + 1) / 2 + 2;
	if (more + d->count > DOC_NODES_MAX)
		return ks_fail(why, ERR_TOO_LARGE, "more than %u JSON values", DOC_NODES_MAX);
	doc_reserve(d, (uint32_t)more);
	if (root == d->count)
		add_node(d, DOC_NONE);
	b.escape = memchr(text.data, '\\', text.len);
	if (!b.escape)
		b.escape = text.data + text.len;
	if (build(&b, root, depth_max))
		return ERR_NONE;
	if (!b.error)
		return ks_fail(why, ERR_TOO_LARGE,
			       "JSON is nested deeper than %u levels at byte %zu", depth_max,
			       b.error_at);
	return ks_fail(why, ERR_DECODE, "not JSON: %s%s at byte %zu", b.error,
		       b.error_at == text.len ? ", but the text ends" : "", b.error_at);
}

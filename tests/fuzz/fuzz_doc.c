/* fuzz_doc.c - any bytes as a document: what parses is walked, edited and written, and must parse
 * again. */
#include <stdlib.h>

#include "streams/doc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct doc_parser *parser;

static void require(bool holds)
{
	if (!holds)
		abort();
}

static void read_node(struct doc *d, doc_node n)
{
	int64_t i;
	double f;
	struct slice name = doc_name(d, n);
	if (doc_type(d, n) == DOC_NUMBER)
		doc_number(d, n, &i, &f);
	doc_string(d, n);
	require(doc_text(d, n).len > 0);
	for (size_t at = 0; at < name.len; at++)
		require(name.data[at] <= 0xf4);
}

/* Reads all nodes, at most max, and checks the links. */
static void walk(struct doc *d, doc_node n, unsigned *left)
{
	size_t count = 0;
	if (*left == 0)
		return;
	(*left)--;
	read_node(d, n);
	for (doc_node c = doc_first(d, n); c != DOC_NONE; c = doc_next(d, c), count++) {
		if (doc_type(d, n) == DOC_OBJECT && count < 16) {
			struct slice name = doc_name(d, c);
			require(doc_member(d, n, (const char *)name.data, name.len) != DOC_NONE);
		} else if (doc_type(d, n) == DOC_ARRAY) {
			require(doc_element(d, n, count) == c);
		}
		walk(d, c, left);
	}
	require(doc_length(d, n) == count);
}

static const char *const values[] = {"1",    "-0.5",           "\"\\u00e9\"",
				     "null", "[1,{\"a\":[]}]", "{\"b\":{}}"};

/* Edits that the text itself chooses. */
static void edit(struct doc *d, const uint8_t *data, size_t size)
{
	doc_node n = 0;
	for (size_t i = 0; i < size && i < 64; i++) {
		struct slice value = slice_str(values[data[i] % 6]);
		doc_node child = doc_first(d, n);
		switch (data[i] / 6 % 6) {
		case 0:
			n = child != DOC_NONE ? child : 0;
			break;
		case 1:
			n = doc_next(d, n) != DOC_NONE ? doc_next(d, n) : 0;
			break;
		case 2:
			doc_set_member(d, n, slice_of(data + i, (size_t)data[i] % (size - i)),
				       value);
			doc_set_element(d, n, data[i] % 4, value);
			break;
		case 3:
			doc_set_element(d, n, doc_length(d, n), value);
			break;
		case 4:
			doc_remove_last(d, n);
			break;
		default:
			if (child != DOC_NONE && doc_type(d, n) == DOC_OBJECT)
				doc_remove_member(d, n, doc_name(d, child));
		}
	}
}

static void write_and_parse(struct arena *a, struct doc *d)
{
	struct buf out = {0}, again = {0};
	struct doc *reread;
	struct ks_why why;

	doc_write(d, 0, &out);
	enum ks_err err = doc_parse(parser, a, buf_slice(&out), &reread, &why);
	require(err == ERR_NONE || err == ERR_TOO_LARGE); /* edits may pass the depth */
	if (!err) {
		doc_write(reread, 0, &again);
		require(slice_equal(buf_slice(&out), buf_slice(&again)));
	}
	buf_fini(&out);
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct arena a = {0};
	struct buf text = {0};
	struct doc *d;
	struct ks_why why;
	unsigned left = 10000;

	if (!parser)
		parser = doc_parser_new();
	buf_append(&text, data, size);
	buf_reserve(&text, 0);
	if (doc_parse(parser, &a, buf_slice(&text), &d, &why) == ERR_NONE) {
		walk(d, 0, &left);
		write_and_parse(&a, d);
		edit(d, data, size);
		write_and_parse(&a, d);
		left = 10000;
		walk(d, 0, &left);
		write_and_parse(&a, d);
	}
	arena_fini(&a);
	buf_fini(&text);
	return 0;
}

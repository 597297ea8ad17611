/* format.h - the percent language of `topic consume -f` and `topic produce -f`: rpk's.
 *
 * A layout is text with escapes (\t \n \r \\ \xNN, %% %{ %}) and percent verbs, most of which take
 * a modifier in braces. Writing a record, a verb prints a field; reading, it takes a field from the
 * input, by its size or up to the text that follows it. docs/cli.md has the whole language.
 *
 * Compiled layouts are used by one thread at a time.
 */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include "base/err.h"
#include "base/mem.h"

/* --- writing --- */

struct format_record {
	const char *topic;
	int32_t partition, leader_epoch, header_count;
	int64_t offset, timestamp; /* ms */
	struct slice key, value;   /* data == NULL: null */
	struct slice headers;      /* as struct record has them */
	int64_t producer_id;
	int16_t producer_epoch;
	uint16_t attributes; /* of the batch */
	int64_t log_start_offset, last_stable_offset, high_watermark;
	int32_t broker; /* who gave it; -1: none, it is a data directory's */
};

struct format_writer;

/* Compiles a layout. ERR_INVALID_ARGUMENT: why names the place. */
enum ks_err format_writer_new(const char *layout, struct format_writer **out, struct ks_why *why);
void format_writer_free(struct format_writer *w); /* w may be NULL */
void format_write(struct format_writer *w, const struct format_record *r, struct buf *out);

/* --- reading --- */

/* What one record of the input said. Slices point into the input or into the reader and are valid
 * until the next call. */
struct format_input {
	bool has_topic, has_key, has_partition, has_timestamp;
	struct slice topic, key, value;
	int32_t partition;
	int64_t timestamp;
	struct slice headers; /* encoded, as struct record has them */
	int32_t header_count;
};

struct format_reader;

enum format_result {
	FORMAT_RECORD, /* one record, *consumed bytes long */
	FORMAT_MORE,   /* the input ends before the record does: come again with more of it */
	FORMAT_END,    /* nothing is left */
	FORMAT_BAD,    /* why tells what was expected; *consumed is where */
};

enum ks_err format_reader_new(const char *layout, struct format_reader **out, struct ks_why *why);
void format_reader_free(struct format_reader *r); /* r may be NULL */
/* Reads the record that begins at input; is_last: nothing follows these bytes. */
enum format_result format_read(struct format_reader *r, struct slice input, bool is_last,
			       size_t *consumed, struct format_input *out, struct ks_why *why);
/* True when the layout takes the topic from the input. */
bool format_reader_has_topic(const struct format_reader *r);

/* --- shared by both --- */

enum number_format {
	NUMBER_ASCII,
	NUMBER_HEX,
	NUMBER_HEX64,
	NUMBER_HEX32,
	NUMBER_HEX16,
	NUMBER_HEX8,
	NUMBER_HEX4,
	NUMBER_BIG64,
	NUMBER_BIG32,
	NUMBER_BIG16,
	NUMBER_BYTE,
	NUMBER_LITTLE64,
	NUMBER_LITTLE32,
	NUMBER_LITTLE16,
	NUMBER_BOOL,
	NUMBER_CONSTANT, /* reading only: the modifier is the number */
};

/* One piece of a layout. */
struct format_token {
	char verb; /* 0: plain text */
	bool has_modifier;
	struct buf text;      /* plain text with its escapes undone */
	const char *modifier; /* into the layout, between the braces */
	size_t modifier_len;
};

/* Takes the next token from *layout; adjoining text becomes one token. 1: one read; 0: the end; -1:
 * malformed, and why says how. The caller releases text with buf_fini. */
int format_token_next(const char **layout, struct format_token *t, struct ks_why *why);
bool format_modifier_is(const struct format_token *t, const char *word);
bool format_number_named(const char *name, size_t len, enum number_format *out);
/* `word#...#`, `word[...]`, `word{{...}}`: the text between the delimiters behind word, xstrdup'd;
 * NULL when the modifier does not begin with word; why is filled when it is malformed. */
char *format_modifier_wrapped(const struct format_token *t, const char *word, struct ks_why *why);

#endif

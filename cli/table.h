/* table.h - rows for people (aligned columns, upper-case headers) and for programs (JSON).
 *
 * One definition of columns serves both: a column NAME-OF-IT is name_of_it in JSON.
 */
#ifndef CLI_TABLE_H
#define CLI_TABLE_H

#include "base/mem.h"

enum output { OUTPUT_TEXT, OUTPUT_WIDE, OUTPUT_JSON };

/* text, wide or json; -1: something else. */
int output_from_name(const char *name);

enum cell_type { CELL_TEXT, CELL_NUMBER, CELL_BOOL };

struct column {
	const char *name;
	enum cell_type type;
	bool is_wide; /* shown by --format wide and json alone */
};

struct table;

/* columns live as long as the table. */
struct table *table_new(const struct column *columns, size_t count);
void table_free(struct table *t); /* t may be NULL */
/* Cells are set from left to right; a row is complete when every column has one. */
void table_text(struct table *t, const char *text); /* NULL: none, shown as - and null */
void table_number(struct table *t, int64_t number);
void table_number_or_none(struct table *t, int64_t number); /* below 0: none */
void table_bool(struct table *t, bool b);
size_t table_rows(const struct table *t);

/* Whether tables for people begin with the names of their columns, from now on: they do at first. One thread. */
void table_header(bool is_wanted);
/* Lines of aligned columns. Numbers stand at the right, text at the left. */
void table_write_text(const struct table *t, bool is_wide, struct buf *out);
/* [{...},\n {...}], without a newline at the end. */
void table_write_json(const struct table *t, struct buf *out);
/* Either, with a newline at the end. */
void table_write(const struct table *t, enum output output, struct buf *out);

#endif

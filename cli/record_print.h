/* record_print.h - the two fixed shapes of a consumed record: a JSON object, a line for people. */
#ifndef CLI_RECORD_PRINT_H
#define CLI_RECORD_PRINT_H

#include "cli/format.h"

struct json_style {
	bool is_pretty; /* over several lines */
	bool is_meta;   /* value_size instead of the value */
};

/* {"topic":..,"key":..,"value":..,"headers":[{"key":..,"value":..}],"timestamp":..,"partition":..,"offset":..}
 * and a newline. A key or value that is null is null; one that is not UTF-8 is base64, and
 * key_encoding or value_encoding says so. headers is left out when there are none. */
void record_print_json(const struct format_record *r, struct json_style style, struct buf *out);

/* TOPIC/PARTITION OFFSET TIME KEY VALUE in columns as far as they go; control characters and bytes
 * that are not UTF-8 are shown as \xNN. */
void record_print_line(const struct format_record *r, bool has_colour, struct buf *out);

#endif

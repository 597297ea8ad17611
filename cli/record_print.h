/* record_print.h - the fixed shapes of a consumed record: JSON objects as of rpk and of kcat, a line for people. */
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

/* As kcat -J: {"topic":..,"partition":..,"offset":..,"tstype":"create","ts":..,"broker":..,"headers":["name","value",..],
 * "key":..,"payload":..} and a newline. Where kcat would print bytes that are not UTF-8, which is no JSON, there is base64 as
 * above, in headers {"base64":".."}. is_meta has no shape here. */
void record_print_kcat(const struct format_record *r, struct json_style style, struct buf *out);

/* TOPIC/PARTITION OFFSET TIME KEY VALUE in columns as far as they go; control characters and bytes
 * that are not UTF-8 are shown as \xNN. */
void record_print_line(const struct format_record *r, bool has_colour, struct buf *out);

#endif

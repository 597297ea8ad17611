/* json_shim.h - the little of C++ that the documents need: simdjson's index and std::to_chars.
 *
 * simdjson's first stage finds, at some bytes per cycle, where every value, name and punctuation
 * mark of a JSON text begins, and proves that the text is UTF-8, that strings end and that they
 * hold no control characters. Its second stage is not used: it refuses numbers that no double holds
 * and builds a tape nobody here reads. doc_build.c takes its place.
 */
#ifndef STREAMS_JSON_SHIM_H
#define STREAMS_JSON_SHIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum json_scan {
	JSON_SCAN_OK,
	JSON_SCAN_EMPTY,
	JSON_SCAN_UTF8,
	JSON_SCAN_CONTROL,
	JSON_SCAN_UNCLOSED,
	JSON_SCAN_MEMORY
};

struct json_scanner;

struct json_scanner *json_scanner_new(void);
void json_scanner_free(struct json_scanner *s); /* s may be NULL */

/* Byte positions of all beginnings, ascending; (*at)[*count] is len. Valid until the next scan.
 * text must have PAD_BYTES readable bytes behind it. */
enum json_scan json_scanner_scan(struct json_scanner *s, const uint8_t *text, size_t len,
				 const uint32_t **at, size_t *count);

/* A JSON number's text as a double, rounded correctly; false: larger than any double. */
bool json_f64_parse(const char *text, size_t len, double *out);

#define JSON_F64_MAX 32
/* Shortest text that reads back as the same finite double; returns its length. */
size_t json_f64_print(double v, char out[JSON_F64_MAX]);

#ifdef __cplusplus
}
#endif

#endif

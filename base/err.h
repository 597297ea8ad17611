/* err.h - the one error space: Kafka's wire codes, and local ones below -1.
 *
 * Functions return enum ks_err; results go through pointers, untouched on failure. Where a human
 * must act, a sentence comes along in a struct ks_why, filled at the place that knows.
 */
#ifndef BASE_ERR_H
#define BASE_ERR_H

#include <stdbool.h>
#include <stddef.h>

enum ks_err {
#define ERR(name, code, retriable, text) ERR_##name = (code),
#include "base/err.def"
#undef ERR
};

/* A sentence for a human, at most its capacity; longer ones are cut. */
struct ks_why {
	char text[1024];
};

/* Static strings, never NULL; unknown codes give "unknown error". */
const char *ks_err_name(enum ks_err err);
const char *ks_err_text(enum ks_err err);
bool ks_err_is_retriable(enum ks_err err);

/* Fills why (may be NULL) and returns err, so that a guard is one line:
 * return ks_fail(why, ERR_IO, "cannot open %s: %s", path, strerror(errno)); */
enum ks_err ks_fail(struct ks_why *why, enum ks_err err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif

/* log.h - what the program tells its operator, on stderr: one line per event.
 *
 * Human text on a terminal, logfmt otherwise; KS_LOG_FORMAT=text|logfmt|json and KS_LOG=debug|info|
 * warn|error|off override. An event is logged once, where it stops travelling.
 *
 *     text    warn: connection closed: its request is malformed (client=10.0.0.7 client_id=app)
 *     logfmt  ts=2026-01-31T12:00:00.000Z level=warn module=server msg="connection closed: ..." client=10.0.0.7 ...
 *     json    {"ts":"...","level":"warn","module":"server","msg":"...","client":"10.0.0.7",...}
 *
 * What a peer sent may stand in a message or field: whatever its bytes, a line stays one line (for people
 * the rest of it is indented), JSON stays valid and no control character reaches the terminal.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

/* Reads the environment and looks whether stderr is a terminal. Call once, before threads start. */
void log_init(void);
/* From any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Whether such a line would be written: for messages that take work to make. */
bool log_is_on(enum log_level level);

/* module: a short static word ("shard", "job"). Thread-safe. */
void log_write(enum log_level level, const char *module, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifndef __cplusplus /* a shim in C++ has no fields to tell */

#include <stdatomic.h>

#include "base/mem.h"

/* Something a line says beside its message, so that it can be searched for. A null text is left out. */
struct log_field {
	const char *key; /* snake_case */
	enum { LOG_FIELD_TEXT, LOG_FIELD_NUMBER } kind;
	struct slice text; /* at most 256 bytes of it are told */
	int64_t number;
};
#define LOG_SLICE(name, slice)                                                                     \
	{                                                                                          \
		.key = (name), .text = (slice)                                                     \
	}
#define LOG_STRING(name, string)                                                                   \
	{                                                                                          \
		.key = (name), .text = slice_str(string)                                           \
	}
#define LOG_NUMBER(name, value)                                                                    \
	{                                                                                          \
		.key = (name), .kind = LOG_FIELD_NUMBER, .number = (value)                         \
	}

/* The same, with fields. */
void log_write_fields(enum log_level level, const char *module, const struct log_field *fields,
		      size_t count, const char *format, ...) __attribute__((format(printf, 5, 6)));

/* A bound on lines that a peer can provoke: so many per second, and then a count of those that were
 * left out. Zero-initialise; thread-safe. */
struct log_limit {
	_Atomic(int64_t) second;
	_Atomic(uint32_t) used, missed;
};
#define LOG_LIMIT_PER_SECOND 10
/* Whether one more may be written now; *missed: how many were not since the last one. */
bool log_limit_pass(struct log_limit *l, int64_t now_ns, uint32_t *missed);

#endif

#define log_debug(module, ...) log_write(LOG_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...)  log_write(LOG_INFO, module, __VA_ARGS__)
#define log_warn(module, ...)  log_write(LOG_WARN, module, __VA_ARGS__)
#define log_error(module, ...) log_write(LOG_ERROR, module, __VA_ARGS__)

#endif

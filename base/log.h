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
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

/* Reads the environment, and warns of what it cannot read there; looks whether stderr is a terminal. Call once, before
 * threads start. */
void log_init(void);
/* From any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);
/* Whether such a line would be written: for messages that take work to make. */
bool log_is_on(enum log_level level);

/* module: a short static word ("shard", "job"). Thread-safe. */
void log_write(enum log_level level, const char *module, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Something a line says beside its message, so that it can be searched for. A null text is left out. */
struct log_field {
	const char *key;  /* snake_case */
	const void *text; /* at most 256 bytes of it are told */
	size_t text_len;
	bool is_number;
	int64_t number;
};
#define LOG_SLICE(name, slice)                                                                     \
	{                                                                                          \
		.key = (name), .text = (slice).data, .text_len = (slice).len                       \
	}
#define LOG_STRING(name, string)                                                                   \
	{                                                                                          \
		.key = (name), .text = (string), .text_len = strlen(string)                        \
	}
#define LOG_NUMBER(name, value)                                                                    \
	{                                                                                          \
		.key = (name), .is_number = true, .number = (value)                                \
	}

/* The same, with fields. */
void log_write_fields(enum log_level level, const char *module, const struct log_field *fields,
		      size_t count, const char *format, ...) __attribute__((format(printf, 5, 6)));

#define log_debug(module, ...) log_write(LOG_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...)  log_write(LOG_INFO, module, __VA_ARGS__)
#define log_warn(module, ...)  log_write(LOG_WARN, module, __VA_ARGS__)
#define log_error(module, ...) log_write(LOG_ERROR, module, __VA_ARGS__)

#endif

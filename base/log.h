/* log.h - what the program tells its operator, on stderr: one line per event.
 *
 * Human text on a terminal, logfmt otherwise; KS_LOG_FORMAT=text|logfmt|json and KS_LOG=debug|info|
 * warn|error|off override. An event is logged once, where it stops travelling.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_OFF };
enum log_format { LOG_TEXT, LOG_LOGFMT, LOG_JSON };

/* Reads the environment and looks whether stderr is a terminal. Call once, before threads start. */
void log_init(void);
/* From any thread. */
void log_set_level(enum log_level level);
enum log_level log_get_level(void);

/* module: a short static word ("shard", "job"). Thread-safe. */
void log_write(enum log_level level, const char *module, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#define log_debug(module, ...) log_write(LOG_DEBUG, module, __VA_ARGS__)
#define log_info(module, ...) log_write(LOG_INFO, module, __VA_ARGS__)
#define log_warn(module, ...) log_write(LOG_WARN, module, __VA_ARGS__)
#define log_error(module, ...) log_write(LOG_ERROR, module, __VA_ARGS__)

#endif

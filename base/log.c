/* log.c - see log.h. */
#include "base/log.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static _Atomic(int) threshold = LOG_INFO; /* shared */
static enum log_format format_used = LOG_TEXT;

static const char *const level_names[] = {"debug", "info", "warn", "error", "off"};

static int level_from(const char *s)
{
	for (int i = 0; i <= LOG_OFF; i++)
		if (s && strcmp(s, level_names[i]) == 0)
			return i;
	return -1;
}

void log_init(void)
{
	const char *f = getenv("KS_LOG_FORMAT");
	int level = level_from(getenv("KS_LOG"));

	if (level >= 0)
		threshold = level;
	format_used = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_LOGFMT;
	if (f && strcmp(f, "json") == 0)
		format_used = LOG_JSON;
	else if (f && strcmp(f, "logfmt") == 0)
		format_used = LOG_LOGFMT;
	else if (f && strcmp(f, "text") == 0)
		format_used = LOG_TEXT;
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

/* Quotes text into out, as JSON and logfmt both read it. */
static void quote(char *out, size_t cap, const char *text)
{
	size_t n = 0;

	out[n++] = '"';
	for (const char *p = text; *p && n + 8 < cap; p++) {
		unsigned char c = (unsigned char)*p;
		if (c == '"' || c == '\\') {
			out[n++] = '\\';
			out[n++] = (char)c;
		} else if (c == '\n') {
			out[n++] = '\\';
			out[n++] = 'n';
		} else if (c < 0x20) {
			n += (size_t)snprintf(out + n, cap - n, "\\u%04x", c);
		} else {
			out[n++] = (char)c;
		}
	}
	out[n++] = '"';
	out[n] = 0;
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
	char text[2048], quoted[4200], when[40], line[4500];
	struct timespec t;
	struct tm tm;
	va_list args;

	if (level < log_get_level())
		return;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof when - n, ".%03ldZ", t.tv_nsec / 1000000);

	if (format_used == LOG_TEXT) {
		const char *mark = level >= LOG_WARN ? level_names[level] : "";
		snprintf(line, sizeof line, "%s%s%s\n", mark, *mark ? ": " : "", text);
	} else {
		quote(quoted, sizeof quoted, text);
		const char *shape =
			format_used == LOG_JSON
				? "{\"ts\":\"%s\",\"level\":\"%s\",\"module\":\"%s\",\"msg\":%s}\n"
				: "ts=%s level=%s module=%s msg=%s\n";
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
		snprintf(line, sizeof line, shape, when, level_names[level], module, quoted);
#pragma GCC diagnostic pop
	}
	/* One write per line, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, line, strlen(line)) < 0)
		return;
}

/* log.c - see log.h. */
#include "base/log.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/mem.h"
#include "base/utf8.h"

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
	const char *f = getenv("KS_LOG_FORMAT"), *l = getenv("KS_LOG");
	int level = level_from(l);

	if (level >= 0)
		threshold = level;
	format_used = isatty(STDERR_FILENO) ? LOG_TEXT : LOG_LOGFMT;
	if (f && strcmp(f, "json") == 0)
		format_used = LOG_JSON;
	else if (f && strcmp(f, "logfmt") == 0)
		format_used = LOG_LOGFMT;
	else if (f && strcmp(f, "text") == 0)
		format_used = LOG_TEXT;
	else if (f && *f)
		log_warn("log", "KS_LOG_FORMAT is \"%s\": text, logfmt and json are known", f);
	if (l && *l && level < 0)
		log_warn("log", "KS_LOG is \"%s\": debug, info, warn, error and off are known", l);
}

void log_set_level(enum log_level level)
{
	atomic_store_explicit(&threshold, level, memory_order_relaxed);
}

enum log_level log_get_level(void)
{
	return (enum log_level)atomic_load_explicit(&threshold, memory_order_relaxed);
}

bool log_is_on(enum log_level level)
{
	return level >= log_get_level();
}

/* --- a line --- */

/* A character becomes six at most: the message always fits. Fields that do not fit are left out. */
#define TEXT_BYTES  2048
#define FIELD_BYTES 256
#define LINE_BYTES  16384
#define END_BYTES   4 /* brackets, the end of the line */

struct line {
	char bytes[LINE_BYTES];
	size_t len;
	bool is_full; /* something did not fit */
};

static void put(struct line *l, const char *bytes, size_t len)
{
	if (l->len + len > LINE_BYTES - END_BYTES) {
		l->is_full = true;
		return;
	}
	memcpy(l->bytes + l->len, bytes, len);
	l->len += len;
}

static void put_str(struct line *l, const char *s)
{
	put(l, s, strlen(s));
}

/* One character, in a form that can neither end the line nor the quotes. */
static size_t put_character(struct line *l, const uint8_t *p, size_t left, bool is_quoted)
{
	size_t n = utf8_sequence(p, p + left);
	/* These of ISO 8859-1 are escapes to some terminals. */
	bool is_control = n == 2 && *p == 0xc2 && p[1] < 0xa0;
	char escaped[8];

	if (n == 0 || is_control) {
		put_str(l, "\xef\xbf\xbd");
		return n ? n : 1;
	}
	if (is_quoted && (*p == '"' || *p == '\\')) {
		put(l, (char[]){'\\', (char)*p}, 2);
	} else if (*p == '\n') {
		/* For people lines stay lines; what follows is indented, so that it can pass for no other. */
		put_str(l, is_quoted ? "\\n" : "\n    ");
	} else if (*p < 0x20 || *p == 0x7f) {
		put(l, escaped, (size_t)snprintf(escaped, sizeof escaped, "\\u%04x", *p));
	} else {
		put(l, (const char *)p, n);
	}
	return n;
}

static void put_text(struct line *l, struct slice text, bool is_quoted)
{
	for (size_t i = 0; i < text.len;)
		i += put_character(l, text.data + i, text.len - i, is_quoted);
}

static void put_quoted(struct line *l, struct slice text)
{
	put_str(l, "\"");
	put_text(l, text, true);
	put_str(l, "\"");
}

/* Whether logfmt needs no quotes. */
static bool is_plain(struct slice text)
{
	for (size_t i = 0; i < text.len; i++)
		if (text.data[i] <= ' ' || text.data[i] >= 0x7f || text.data[i] == '"' ||
		    text.data[i] == '=' || text.data[i] == '\\')
			return false;
	return text.len > 0;
}

static void put_value(struct line *l, struct slice text)
{
	if (format_used != LOG_JSON && is_plain(text))
		put(l, (const char *)text.data, text.len);
	else
		put_quoted(l, text);
}

static void put_field(struct line *l, const struct log_field *f)
{
	char number[24];

	if (format_used == LOG_JSON) {
		put_str(l, ",\"");
		put_str(l, f->key);
		put_str(l, "\":");
	} else {
		put_str(l, " ");
		put_str(l, f->key);
		put_str(l, "=");
	}
	if (f->is_number) {
		put(l, number, (size_t)snprintf(number, sizeof number, "%" PRId64, f->number));
		return;
	}
	put_value(l, slice_of(f->text, f->text_len < FIELD_BYTES ? f->text_len : FIELD_BYTES));
}

static void put_time(struct line *l)
{
	char when[40];
	struct timespec t;
	struct tm tm;

	clock_gettime(CLOCK_REALTIME, &t);
	gmtime_r(&t.tv_sec, &tm);
	size_t n = strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(when + n, sizeof when - n, ".%03ldZ", t.tv_nsec / 1000000);
	put_str(l, when);
}

static void put_head(struct line *l, enum log_level level, const char *module, struct slice text)
{
	if (format_used == LOG_TEXT) {
		if (level >= LOG_WARN) {
			put_str(l, level_names[level]);
			put_str(l, ": ");
		}
		put_text(l, text, false);
		return;
	}
	bool is_json = format_used == LOG_JSON;
	put_str(l, is_json ? "{\"ts\":\"" : "ts=");
	put_time(l);
	put_str(l, is_json ? "\",\"level\":\"" : " level=");
	put_str(l, level_names[level]);
	put_str(l, is_json ? "\",\"module\":\"" : " module=");
	put_str(l, module);
	put_str(l, is_json ? "\",\"msg\":" : " msg=");
	put_quoted(l, text);
}

static bool is_told(const struct log_field *f)
{
	return f->is_number || f->text;
}

/* Returns how many were put. */
static size_t put_fields(struct line *l, const struct log_field *fields, size_t count)
{
	size_t told = 0;

	for (size_t i = 0; i < count; i++) {
		size_t before = l->len;
		if (!is_told(&fields[i]))
			continue;
		put_field(l, &fields[i]);
		if (l->is_full) {
			l->len = before;
			break;
		}
		told++;
	}
	return told;
}

/* " a=b c=d", which begins at start, becomes " (a=b c=d)". */
static void put_brackets(struct line *l, size_t start)
{
	memmove(l->bytes + start + 2, l->bytes + start + 1, l->len - start - 1);
	l->bytes[start + 1] = '(';
	l->bytes[l->len + 1] = ')';
	l->len += 2;
}

static void write_line(enum log_level level, const char *module, const struct log_field *fields,
		       size_t count, const char *format, va_list args)
{
	struct line l;
	char text[TEXT_BYTES];
	int n = vsnprintf(text, sizeof text, format, args);

	if (n < 0)
		n = 0;
	l.len = 0;
	l.is_full = false;
	put_head(&l, level, module,
		 slice_of(text, (size_t)n < sizeof text ? (size_t)n : sizeof text - 1));
	size_t start = l.len, told = put_fields(&l, fields, count);
	if (format_used == LOG_TEXT && told)
		put_brackets(&l, start);
	if (format_used == LOG_JSON)
		l.bytes[l.len++] = '}';
	l.bytes[l.len++] = '\n';
	/* One write per line, so that lines of several threads do not mix. */
	if (write(STDERR_FILENO, l.bytes, l.len) < 0)
		return;
}

void log_write(enum log_level level, const char *module, const char *format, ...)
{
	va_list args;

	if (!log_is_on(level))
		return;
	va_start(args, format);
	write_line(level, module, NULL, 0, format, args);
	va_end(args);
}

void log_write_fields(enum log_level level, const char *module, const struct log_field *fields,
		      size_t count, const char *format, ...)
{
	va_list args;

	if (!log_is_on(level))
		return;
	va_start(args, format);
	write_line(level, module, fields, count, format, args);
	va_end(args);
}

bool log_limit_pass(struct log_limit *l, int64_t now_ns, uint32_t *missed)
{
	int64_t second = now_ns / 1000000000, before = atomic_load(&l->second);

	/* Who finds a new second begins it; a line more or less does not matter. */
	if (second != before && atomic_compare_exchange_strong(&l->second, &before, second))
		atomic_store(&l->used, 0);
	if (atomic_fetch_add(&l->used, 1) >= LOG_LIMIT_PER_SECOND) {
		atomic_fetch_add(&l->missed, 1);
		return false;
	}
	*missed = atomic_exchange(&l->missed, 0);
	return true;
}

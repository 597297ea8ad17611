/* offsets.c - see offsets.h. */
#include "cli/offsets.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static size_t digits(const char *p)
{
	size_t n = 0;

	while (is_digit(p[n]))
		n++;
	return n;
}

/* Digits that fill text exactly, at most 18 of them. */
static bool parse_number(const char *text, size_t len, int64_t *out)
{
	if (len == 0 || len > 18 || digits(text) < len)
		return false;
	*out = 0;
	for (size_t i = 0; i < len; i++)
		*out = *out * 10 + (text[i] - '0');
	return true;
}

static bool unit_ms(const char *unit, size_t len, double *out)
{
	static const struct {
		const char *name;
		double ms;
	} rows[] = {{"ns", 1e-6}, {"us", 1e-3},  {"ms", 1},      {"s", 1000},
		    {"m", 60e3},  {"h", 3600e3}, {"hr", 3600e3}, {"d", 86400e3}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strlen(rows[i].name) == len && memcmp(rows[i].name, unit, len) == 0) {
			*out = rows[i].ms;
			return true;
		}
	}
	return false;
}

bool offset_duration_parse(const char *text, size_t len, int64_t *out_ms)
{
	const char *p = text, *end = text + len;
	bool is_negative = p < end && *p == '-';
	double total = 0;

	if (p < end && (*p == '-' || *p == '+'))
		p++;
	if (p == end)
		return false;
	while (p < end) {
		double number = 0, scale = 1, unit;
		const char *start = p;
		for (; p < end && is_digit(*p); p++)
			number = number * 10 + (*p - '0');
		if (p < end && *p == '.')
			for (p++; p < end && is_digit(*p); p++)
				number += (*p - '0') * (scale /= 10);
		if (p == start)
			return false;
		const char *name = p;
		while (p < end && *p >= 'a' && *p <= 'z')
			p++;
		if (!unit_ms(name, (size_t)(p - name), &unit))
			return false;
		total += number * unit;
	}
	if (total > 1e15)
		return false;
	*out_ms = (int64_t)(is_negative ? -total : total);
	return true;
}

/* --- points in time --- */

/* YYYY-MM-DD at p, which becomes ms since 1970. */
static bool parse_date(const char *p, int64_t *out)
{
	struct tm tm = {0};

	if (digits(p) != 4 || p[4] != '-' || digits(p + 5) != 2 || p[7] != '-' ||
	    digits(p + 8) != 2)
		return false;
	tm.tm_year = atoi(p) - 1900;
	tm.tm_mon = atoi(p + 5) - 1;
	tm.tm_mday = atoi(p + 8);
	int month = tm.tm_mon, day = tm.tm_mday;
	time_t seconds = timegm(&tm);
	if (tm.tm_mon != month || tm.tm_mday != day)
		return false; /* timegm made the 30th of February a day of March */
	*out = (int64_t)seconds * 1000;
	return true;
}

/* THH:MM:SS[.fff]Z at p; its length, 0 when it is something else. */
static size_t parse_clock(const char *p, int64_t *out)
{
	size_t n = 9;
	int64_t ms = 0, scale = 100;

	if (p[0] != 'T' || digits(p + 1) != 2 || p[3] != ':' || digits(p + 4) != 2 || p[6] != ':' ||
	    digits(p + 7) != 2)
		return 0;
	int hour = atoi(p + 1), minute = atoi(p + 4), second = atoi(p + 7);
	if (hour > 23 || minute > 59 || second > 60)
		return 0;
	if (p[n] == '.')
		for (n++; is_digit(p[n]); n++, scale /= 10)
			ms += (p[n] - '0') * scale;
	if (p[n] != 'Z')
		return 0;
	*out += ((hour * 60 + minute) * 60 + second) * 1000 + ms;
	return n + 1;
}

/* A time at the start of text: its length, 0 when there is none. base: where durations count from;
 * *is_point: the time does not depend on base. */
static size_t parse_time(const char *text, int64_t base, int64_t *out, bool *is_point)
{
	size_t n = digits(text), len = strcspn(text, ":");

	*is_point = true;
	if ((n == 13 || n == 10) && (text[n] == ':' || !text[n])) {
		parse_number(text, n, out);
		if (n == 10)
			*out *= 1000;
		return n;
	}
	if (parse_date(text, out)) {
		size_t clock = parse_clock(text + 10, out);
		if (text[10] == 'T')
			return clock ? 10 + clock : 0;
		return text[10] == ':' || !text[10] ? 10 : 0;
	}
	*is_point = false;
	if (!offset_duration_parse(text, len, out))
		return 0;
	*out += base;
	return len;
}

static enum ks_err bad_time(const char *text, struct ks_why *why)
{
	return ks_fail(why, ERR_INVALID_ARGUMENT,
		       "cannot read the time in offset \"%s\": 13 digits (ms), 10 digits (s), "
		       "2022-02-14, 2022-02-14T10:00:00Z and durations such as -1h are known",
		       text);
}

static enum ks_err parse_times(const char *text, int64_t now_ms, struct offset_range *out,
			       struct ks_why *why)
{
	const char *p = text + 1;
	int64_t base = now_ms;
	bool is_point = false;

	out->to.kind = OFFSET_OPEN;
	if (*p == ':') {
		out->from = (struct offset_point){OFFSET_START, 0};
	} else {
		size_t n = parse_time(p, now_ms, &out->from.value, &is_point);
		if (n == 0)
			return bad_time(text, why);
		out->from.kind = OFFSET_TIME;
		if (is_point)
			base = out->from.value;
		p += n;
	}
	if (!*p || (strcmp(p, ":") == 0 && p > text + 1))
		return ERR_NONE;
	if (*p++ != ':')
		return bad_time(text, why);
	if (strcmp(p, "end") == 0) {
		out->to = (struct offset_point){OFFSET_END, 0};
		return ERR_NONE;
	}
	out->to.kind = OFFSET_TIME;
	size_t n = parse_time(p, base, &out->to.value, &is_point);
	if (n == 0 || p[n])
		return bad_time(text, why);
	if (out->from.kind == OFFSET_TIME && out->to.value <= out->from.value)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "offset \"%s\" ends before it begins",
			       text);
	return ERR_NONE;
}

/* --- offsets --- */

static bool parse_point(const char *text, size_t len, struct offset_point *out)
{
	static const struct {
		const char *name;
		enum offset_kind kind;
	} words[] = {{"start", OFFSET_START},
		     {"oldest", OFFSET_START},
		     {"end", OFFSET_END},
		     {"newest", OFFSET_END}};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strlen(words[i].name) == len && memcmp(words[i].name, text, len) == 0) {
			*out = (struct offset_point){words[i].kind, 0};
			return true;
		}
	}
	if (len && (*text == '+' || *text == '-')) {
		out->kind = *text == '+' ? OFFSET_START : OFFSET_END;
		if (!parse_number(text + 1, len - 1, &out->value))
			return false;
		if (*text == '-')
			out->value = -out->value;
		return true;
	}
	out->kind = OFFSET_EXACT;
	return parse_number(text, len, &out->value);
}

static enum ks_err bad_offset(const char *text, struct ks_why *why)
{
	return ks_fail(
		why, ERR_INVALID_ARGUMENT,
		"cannot read offset \"%s\": start, end, 47, +2, -3, @time and ranges such as "
		":end, 10:20 or @-1h:end are known",
		text);
}

enum ks_err offset_range_parse(const char *text, int64_t now_ms, struct offset_range *out,
			       struct ks_why *why)
{
	size_t n = digits(text);
	const char *colon = strchr(text, ':');

	*out = (struct offset_range){{OFFSET_START, 0}, {OFFSET_OPEN, 0}};
	if (*text == '@')
		return parse_times(text, now_ms, out, why);
	if (n && text[n] == '-' && text[n + 1])
		colon = text + n; /* 10-20 is 10:20 */
	size_t from_len = colon ? (size_t)(colon - text) : strlen(text);
	if (from_len && !parse_point(text, from_len, &out->from))
		return bad_offset(text, why);
	if (colon && colon[1] && !parse_point(colon + 1, strlen(colon + 1), &out->to))
		return bad_offset(text, why);
	if (!from_len && (!colon || !colon[1]))
		return bad_offset(text, why);
	if (out->from.kind == out->to.kind && out->to.value <= out->from.value)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "offset \"%s\" ends before it begins",
			       text);
	return ERR_NONE;
}

enum ks_err offset_point_parse(const char *text, int64_t now_ms, struct offset_point *out,
			       struct ks_why *why)
{
	bool is_point;

	if (*text == '@') {
		out->kind = OFFSET_TIME;
		size_t n = parse_time(text + 1, now_ms, &out->value, &is_point);
		return n && !text[1 + n] ? ERR_NONE : bad_time(text, why);
	}
	if (parse_point(text, strlen(text), out))
		return ERR_NONE;
	return ks_fail(why, ERR_INVALID_ARGUMENT,
		       "cannot read offset \"%s\": start, end, 47, +2, -3 and @time are known",
		       text);
}

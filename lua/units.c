/* units.c - see units.h. */
#include "lua/units.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define UNITS_MAX (INT64_C(1) << 53) /* every value is exact as a double too */

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {
	{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"w", 604800000},
};

static const struct unit sizes[] = {
	{"", 1},        {"b", 1},         {"k", 1 << 10},     {"kib", 1 << 10},
	{"kb", 1000},   {"m", 1 << 20},   {"mib", 1 << 20},   {"mb", 1000000},
	{"g", 1 << 30}, {"gib", 1 << 30}, {"gb", 1000000000},
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* One number and its unit; *text moves behind it. */
static bool parse_one(const char **text, const struct unit *units, size_t n, int64_t *out)
{
	const char *p = *text;
	const char *unit;
	int64_t v = 0;

	if (!is_digit(*p))
		return false;
	for (; is_digit(*p); p++) {
		v = v * 10 + (*p - '0');
		if (v > UNITS_MAX)
			return false;
	}
	while (*p == ' ')
		p++;
	unit = p;
	while (is_letter(*p))
		p++;
	for (size_t i = 0; i < n; i++) {
		size_t len = (size_t)(p - unit);

		if (strlen(units[i].name) != len || strncasecmp(units[i].name, unit, len) != 0)
			continue;
		if (v > UNITS_MAX / units[i].factor)
			return false;
		*out = v * units[i].factor;
		*text = p;
		return true;
	}
	return false;
}

bool units_parse_duration(const char *text, int64_t *ms)
{
	int64_t sum = 0;
	int64_t one;

	do {
		if (!parse_one(&text, durations, sizeof durations / sizeof *durations, &one) ||
		    sum + one > UNITS_MAX)
			return false;
		sum += one;
	} while (*text != '\0');
	*ms = sum;
	return true;
}

const char *units_format_duration(int64_t ms, char *out, size_t cap)
{
	const struct unit *best = &durations[0];

	for (size_t i = 0; i < sizeof durations / sizeof *durations; i++) {
		if (ms != 0 && durations[i].name[0] != 'w' && ms % durations[i].factor == 0)
			best = &durations[i];
	}
	snprintf(out, cap, "%lld%s", (long long)(ms / best->factor), best->name);
	return out;
}

bool units_parse_size(const char *text, int64_t *bytes)
{
	int64_t one;

	if (!parse_one(&text, sizes, sizeof sizes / sizeof *sizes, &one) || *text != '\0')
		return false;
	*bytes = one;
	return true;
}

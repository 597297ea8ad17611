/* time_text.c - see time_text.h. */
#include "streams/time_text.h"

struct scan {
	const uint8_t *p, *end;
};

static bool digits(struct scan *s, int count, int *v)
{
	*v = 0;
	for (; count > 0; count--) {
		if (s->p == s->end || *s->p < '0' || *s->p > '9')
			return false;
		*v = *v * 10 + (*s->p++ - '0');
	}
	return true;
}

static bool accept(struct scan *s, char c)
{
	if (s->p == s->end || *s->p != (uint8_t)c)
		return false;
	s->p++;
	return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar: years are counted from March, so that the leap
 * day comes last. */
static int64_t days_of(int year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t from_march = (month + 9) % 12;
	int64_t day_of_year = (153 * from_march + 2) / 5 + day - 1;

	return y * 365 + y / 4 - y / 100 + y / 400 + day_of_year - 719468;
}

static bool is_date(int year, int month, int day)
{
	static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 &&
	       day <= lengths[month - 1] + (month == 2 && leap);
}

static int fraction_ms(struct scan *s)
{
	int ms = 0, scale = 100;

	for (; s->p < s->end && *s->p >= '0' && *s->p <= '9'; s->p++) {
		ms += (*s->p - '0') * scale;
		scale /= 10;
	}
	return ms;
}

static bool time_of_day(struct scan *s, int64_t *ms)
{
	int hour, minute, second = 0, fraction = 0;

	if (!digits(s, 2, &hour) || !accept(s, ':') || !digits(s, 2, &minute))
		return false;
	if (accept(s, ':')) {
		if (!digits(s, 2, &second))
			return false;
		if (accept(s, '.') || accept(s, ','))
			fraction = fraction_ms(s);
	}
	if (hour > 24 || minute > 59 || second > 60)
		return false;
	*ms = ((hour * 60 + minute) * 60 + second) * INT64_C(1000) + fraction;
	return true;
}

static bool zone(struct scan *s, int64_t *ms)
{
	int hour, minute = 0;

	*ms = 0;
	if (s->p == s->end || accept(s, 'Z') || accept(s, 'z'))
		return true;
	int sign = accept(s, '+') ? 1 : accept(s, '-') ? -1 : 0;
	if (!sign || !digits(s, 2, &hour))
		return false;
	accept(s, ':');
	if (s->p < s->end && !digits(s, 2, &minute))
		return false;
	*ms = sign * (hour * 60 + minute) * INT64_C(60000);
	return true;
}

bool time_from_iso(struct slice text, int64_t *ms)
{
	struct scan s = {text.data, text.data + text.len};
	int year, month, day;
	int64_t of_day = 0, offset = 0;

	if (!digits(&s, 4, &year) || !accept(&s, '-') || !digits(&s, 2, &month) ||
	    !accept(&s, '-') || !digits(&s, 2, &day) || !is_date(year, month, day))
		return false;
	if (s.p < s.end) {
		if (!accept(&s, 'T') && !accept(&s, ' ') && !accept(&s, 't'))
			return false;
		if (!time_of_day(&s, &of_day) || !zone(&s, &offset))
			return false;
	}
	if (s.p != s.end)
		return false;
	*ms = days_of(year, month, day) * INT64_C(86400000) + of_day - offset;
	return true;
}

/* help_time.c - ks.time: milliseconds UTC to text and back, without the C library's time zones. */
#include "lua/helpers.h"

#include <lauxlib.h>
#include <stdio.h>

#include "lua/units.h"
#include "streams/time_text.h"

#define DAY_MS INT64_C(86400000)
#define MS_MIN INT64_C(-62167219200000) /* 0000-01-01 */
#define MS_MAX INT64_C(253402300799999) /* 9999-12-31T23:59:59.999 */

struct civil {
	int year, month, day; /* month and day from 1 */
	int hour, minute, second, ms;
	int weekday, yearday; /* from 0: Sunday, 1 January */
};

/* Days since 1970-01-01. Years begin in March here, so that the leap day is the last day of one. */
static int64_t days_from_civil(int64_t year, int month, int day)
{
	int64_t y = month <= 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t year_of_era = y - era * 400;
	int64_t day_of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 +
	       day_of_year - 719468;
}

static bool civil_from_ms(int64_t ms, struct civil *c)
{
	int64_t days, rest, era, day_of_era, year_of_era, day_of_year;
	int month;

	if (ms < MS_MIN || ms > MS_MAX)
		return false;
	days = (ms >= 0 ? ms : ms - (DAY_MS - 1)) / DAY_MS;
	rest = ms - days * DAY_MS;
	c->weekday = (int)(((days + 4) % 7 + 7) % 7);
	c->hour = (int)(rest / 3600000);
	c->minute = (int)(rest / 60000 % 60);
	c->second = (int)(rest / 1000 % 60);
	c->ms = (int)(rest % 1000);

	days += 719468;
	era = (days >= 0 ? days : days - 146096) / 146097;
	day_of_era = days - era * 146097;
	year_of_era =
		(day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
	day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
	month = (int)((5 * day_of_year + 2) / 153);
	c->day = (int)(day_of_year - (153 * month + 2) / 5 + 1);
	c->month = month < 10 ? month + 3 : month - 9;
	c->year = (int)(year_of_era + era * 400 + (c->month <= 2));
	c->yearday = (int)(days - 719468 - days_from_civil(c->year, 1, 1));
	return true;
}

bool time_format_iso(int64_t ms, char *out)
{
	struct civil c;

	if (!civil_from_ms(ms, &c))
		return false;
	snprintf(out, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%03uZ", (unsigned)c.year % 10000,
		 (unsigned)c.month % 100, (unsigned)c.day % 100, (unsigned)c.hour % 100,
		 (unsigned)c.minute % 100, (unsigned)c.second % 100, (unsigned)c.ms % 1000);
	return true;
}

static struct civil check_civil(lua_State *L)
{
	struct civil c;

	if (!civil_from_ms(luaL_checkinteger(L, 1), &c))
		luaL_argerror(L, 1, "milliseconds beyond the years 0 to 9999");
	return c;
}

static int time_iso(lua_State *L)
{
	char text[32];

	(void)check_civil(L);
	(void)time_format_iso(lua_tointeger(L, 1), text);
	lua_pushstring(L, text);
	return 1;
}

static int time_date(lua_State *L)
{
	char text[32];

	(void)check_civil(L);
	(void)time_format_iso(lua_tointeger(L, 1), text);
	lua_pushlstring(L, text, 10);
	return 1;
}

static int time_parse(lua_State *L)
{
	size_t len;
	const char *text = luaL_checklstring(L, 1, &len);
	int64_t ms;

	if (!time_from_iso(slice_of(text, len), &ms))
		return luaL_error(L, "\"%s\" is not a time such as 2026-09-21T14:13:20.123Z", text);
	lua_pushinteger(L, ms);
	return 1;
}

static void put_number(luaL_Buffer *b, int value, int width)
{
	char text[16];
	int n = snprintf(text, sizeof text, "%0*d", width, value);

	luaL_addlstring(b, text, (size_t)n);
}

static void put_name(luaL_Buffer *b, const char *const *names, int i, bool is_short)
{
	luaL_addlstring(b, names[i], is_short ? 3 : strlen(names[i]));
}

/* The conversions that are numbers: value and width; false: it is none of them. */
static bool number_of(const struct civil *c, char letter, int *value, int *width)
{
	const struct {
		char letter;
		int value, width;
	} numbers[] = {
		{'Y', c->year, 4},        {'y', c->year % 100, 2},
		{'m', c->month, 2},       {'d', c->day, 2},
		{'H', c->hour, 2},        {'M', c->minute, 2},
		{'S', c->second, 2},      {'L', c->ms, 3},
		{'j', c->yearday + 1, 3}, {'u', c->weekday == 0 ? 7 : c->weekday, 1},
	};

	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (numbers[i].letter == letter) {
			*value = numbers[i].value;
			*width = numbers[i].width;
			return true;
		}
	}
	return false;
}

/* One conversion of ks.time.format; false: there is no such letter. */
static bool put_conversion(luaL_Buffer *b, const struct civil *c, int64_t ms, char letter)
{
	static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
					   "Thursday", "Friday", "Saturday"};
	static const char *const months[] = {"January",   "February", "March",    "April",
					     "May",       "June",     "July",     "August",
					     "September", "October",  "November", "December"};
	char iso[32];
	int value, width;

	(void)time_format_iso(ms, iso);
	if (number_of(c, letter, &value, &width))
		put_number(b, value, width);
	else if (letter == 'A' || letter == 'a')
		put_name(b, days, c->weekday, letter == 'a');
	else if (letter == 'B' || letter == 'b')
		put_name(b, months, c->month - 1, letter == 'b');
	else if (letter == 'F')
		luaL_addlstring(b, iso, 10);
	else if (letter == 'T')
		luaL_addlstring(b, iso + 11, 8);
	else if (letter == '%')
		luaL_addchar(b, '%');
	else
		return false;
	return true;
}

static int time_format(lua_State *L)
{
	struct civil c = check_civil(L);
	const char *p = luaL_checkstring(L, 2);
	luaL_Buffer b;

	luaL_buffinit(L, &b);
	for (; *p != '\0'; p++) {
		if (*p != '%')
			luaL_addchar(&b, *p);
		else if (!put_conversion(&b, &c, lua_tointeger(L, 1), *++p))
			return luaL_error(L, "ks.time.format knows %%Y %%y %%m %%d %%H %%M %%S %%L "
					     "(ms) %%j %%u %%a %%A "
					     "%%b %%B %%F %%T and %%%%");
	}
	luaL_pushresult(&b);
	return 1;
}

/* ks.time.floor(ms, "1h"): the beginning of the hour it lies in. */
static int time_floor(lua_State *L)
{
	lua_Integer ms = luaL_checkinteger(L, 1);
	int64_t size;

	if (!units_parse_duration(luaL_checkstring(L, 2), &size) || size == 0)
		return luaL_argerror(L, 2, "a duration such as \"1m\" or \"1h\" is due");
	lua_pushinteger(L, ms - ((ms % size) + size) % size);
	return 1;
}

void helpers_register_time(lua_State *L)
{
	static const luaL_Reg functions[] = {
		{"iso", time_iso},       {"date", time_date},   {"parse", time_parse},
		{"format", time_format}, {"floor", time_floor}, {NULL, NULL},
	};

	luaL_newlib(L, functions);
	lua_setfield(L, -2, "time");
}

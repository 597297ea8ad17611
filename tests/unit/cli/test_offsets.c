/* test_offsets.c - the offset language, with a clock that stands still. */
#include <stdio.h>

#include "cli/offsets.h"
#include "unit.h"

#define NOW INT64_C(1700000000000)
#define DAY INT64_C(86400000)

static const char *show_point(struct offset_point p, char *out, size_t cap)
{
	static const char *const names[] = {"open", "start", "end", "exact", "time"};

	snprintf(out, cap, "%s%+lld", names[p.kind], (long long)p.value);
	return out;
}

static void ranges_are_read(void **state)
{
	static const struct {
		const char *text, *from, *to;
	} rows[] = {
		{"start", "start+0", "open+0"},
		{"oldest", "start+0", "open+0"},
		{"end", "end+0", "open+0"},
		{"newest", "end+0", "open+0"},
		{"47", "exact+47", "open+0"},
		{"47:", "exact+47", "open+0"},
		{"+2", "start+2", "open+0"},
		{"-3", "end-3", "open+0"},
		{":end", "start+0", "end+0"},
		{":20", "start+0", "exact+20"},
		{"10:20", "exact+10", "exact+20"},
		{"10-20", "exact+10", "exact+20"},
		{"10:end", "exact+10", "end+0"},
		{"start:end", "start+0", "end+0"},
		{"-10:end", "end-10", "end+0"},
		{"-10:-5", "end-10", "end-5"},
		{"+2:+5", "start+2", "start+5"},
		{"end:", "end+0", "open+0"},
		{"@1644796800123", "time+1644796800123", "open+0"},
		{"@1644796800", "time+1644796800000", "open+0"},
		{"@2022-02-14", "time+1644796800000", "open+0"},
		{"@2022-02-14:", "time+1644796800000", "open+0"},
		{"@2022-02-14T01:02:03Z", "time+1644800523000", "open+0"},
		{"@2022-02-14T01:02:03.5Z:end", "time+1644800523500", "end+0"},
		{"@2022-02-14:1h", "time+1644796800000", "time+1644800400000"},
		{"@2022-02-14T00:00:00Z:2022-02-15T00:00:00Z", "time+1644796800000",
		 "time+1644883200000"},
		{"@-48h:-24h", "time+1699827200000", "time+1699913600000"},
		{"@-1m:end", "time+1699999940000", "end+0"},
		{"@:-1h", "start+0", "time+1699996400000"},
		{"@:-1hr", "start+0", "time+1699996400000"},
		{"@-1m3ms", "time+1699999939997", "open+0"},
		{"@-1.5s", "time+1699999998500", "open+0"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct offset_range range;
		struct ks_why why = {""};
		char text[64];
		if (offset_range_parse(rows[i].text, NOW, &range, &why))
			fail_msg("%s: %s", rows[i].text, why.text);
		assert_string_equal(show_point(range.from, text, sizeof text), rows[i].from);
		if (range.to.kind == OFFSET_OPEN)
			range.to.value = 0;
		assert_string_equal(show_point(range.to, text, sizeof text), rows[i].to);
	}
}

static void other_text_is_refused(void **state)
{
	static const char *const bad[] = {"",
					  ":",
					  "x",
					  "1x",
					  "start1",
					  "+",
					  "-",
					  "20:10",
					  "10:10",
					  "-5:-10",
					  "@",
					  "@:",
					  "@x",
					  "@end",
					  "@2022-02-30",
					  "@2022-13-1",
					  "@-1h:-2h",
					  "@2022-02-14T25:00:00Z",
					  "@2022-02-14T01:02:03",
					  "@1h2",
					  "@-1h:x",
					  "1:2:3",
					  "@-1h:end:",
					  "99999999999999999999"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct offset_range range;
		struct ks_why why = {""};
		if (offset_range_parse(bad[i], NOW, &range, &why) != ERR_INVALID_ARGUMENT)
			fail_msg("\"%s\" was accepted", bad[i]);
		assert_true(why.text[0] != 0);
	}
}

static void sentences_quote_the_text(void **state)
{
	struct offset_range range;
	struct offset_point point;
	struct ks_why why;

	(void)state;
	offset_range_parse("soon", NOW, &range, &why);
	assert_string_equal(why.text,
			    "cannot read offset \"soon\": start, end, 47, +2, -3, @time and ranges "
			    "such as :end, 10:20 or @-1h:end are known");
	offset_range_parse("20:10", NOW, &range, &why);
	assert_string_equal(why.text, "offset \"20:10\" ends before it begins");
	offset_point_parse("10:20", NOW, &point, &why);
	assert_string_equal(why.text, "cannot read offset \"10:20\": start, end, 47, +2, -3 and "
				      "@time are known");
}

static void points_are_read(void **state)
{
	struct offset_point p;

	(void)state;
	assert_int_equal(offset_point_parse("-3", NOW, &p, NULL), ERR_NONE);
	assert_int_equal(p.kind, OFFSET_END);
	assert_int_equal(p.value, -3);
	assert_int_equal(offset_point_parse("@-1d", NOW, &p, NULL), ERR_NONE);
	assert_int_equal(p.kind, OFFSET_TIME);
	assert_int_equal(p.value, NOW - DAY);
	assert_int_equal(offset_point_parse("@-1d:", NOW, &p, NULL), ERR_INVALID_ARGUMENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges_are_read),
		cmocka_unit_test(other_text_is_refused),
		cmocka_unit_test(sentences_quote_the_text),
		cmocka_unit_test(points_are_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

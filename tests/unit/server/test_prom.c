/* test_prom.c - Prometheus' text format. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "server/prom.h"

static void assert_text(struct buf *out, const char *expected)
{
	assert_string_equal(buf_cstr(out), expected);
	buf_fini(out);
}

static void a_family_has_a_head_and_its_samples(void **state)
{
	struct buf out = {0};
	struct prom p;
	const struct prom_label labels[] = {{"topic", slice_str("in")},
					    {"partition", slice_str("3")}};

	(void)state;
	prom_begin(&p, &out, "some_offset", PROM_GAUGE, "An offset.");
	prom_int(&p, labels, 2, INT64_C(9007199254740993));
	prom_int(&p, labels, 1, -1);
	prom_double(&p, NULL, 0, 0.25);
	assert_text(&out, "# HELP some_offset An offset.\n"
			  "# TYPE some_offset gauge\n"
			  "some_offset{topic=\"in\",partition=\"3\"} 9007199254740993\n"
			  "some_offset{topic=\"in\"} -1\n"
			  "some_offset 0.25\n");
}

static void label_values_cannot_break_the_text(void **state)
{
	struct buf out = {0};
	struct prom p = {&out, "x"};
	const struct prom_label label = {"g", slice_of("a\"b\\c\nd\xff\xc3\xa9\xc3", 11)};
	const struct prom_label null = {"g", SLICE_NULL};

	(void)state;
	prom_int(&p, &label, 1, 1);
	prom_int(&p, &null, 1, 2);
	assert_text(&out, "x{g=\"a\\\"b\\\\c\\nd\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\"} 1\n"
			  "x{g=\"\"} 2\n");
}

/* The value of the line that begins with text. */
static void assert_sample(const char *all, const char *text)
{
	if (!strstr(all, text))
		fail_msg("there is no %s in %s", text, all);
}

static void a_histogram_counts_upwards_and_ends_with_all_of_them(void **state)
{
	struct tally t = {.first_bits = 13};
	struct prom_tally sum = {0};
	struct buf out = {0};
	struct prom p = {&out, "x_seconds"};
	const struct prom_label label = {"api", slice_str("fetch")};

	(void)state;
	tally_add(&t, 1);
	tally_add(&t, 8192);
	tally_add(&t, 16384);
	tally_add(&t, UINT64_C(1000000000000));
	prom_tally_add(&sum, &t);
	prom_tally_add(&sum, &t); /* another thread's */
	prom_histogram(&p, &label, 1, &sum, &t, 1e-9);
	const char *all = buf_cstr(&out);
	assert_sample(all, "x_seconds_bucket{api=\"fetch\",le=\"8.192e-06\"} 4\n");
	assert_sample(all, "x_seconds_bucket{api=\"fetch\",le=\"1.2288e-05\"} 4\n");
	assert_sample(all, "x_seconds_bucket{api=\"fetch\",le=\"1.6384e-05\"} 6\n");
	assert_sample(all, "x_seconds_bucket{api=\"fetch\",le=\"51.5396\"} 6\n");
	assert_sample(all, "x_seconds_bucket{api=\"fetch\",le=\"+Inf\"} 8\n");
	assert_sample(all, "x_seconds_sum{api=\"fetch\"} 2000.000049154\n");
	assert_sample(all, "x_seconds_count{api=\"fetch\"} 8\n");
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_family_has_a_head_and_its_samples),
		cmocka_unit_test(label_values_cannot_break_the_text),
		cmocka_unit_test(a_histogram_counts_upwards_and_ends_with_all_of_them),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

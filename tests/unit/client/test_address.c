/* test_address.c - lists of addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "client/address.h"

static void a_list_is_read_with_and_without_ports(void **state)
{
	struct client_address *a;
	struct ks_why why;
	size_t n;

	(void)state;
	assert_int_equal(client_addresses_parse("one:19092, two,[::1]:3,[fe80::1],127.0.0.1:65535",
						&a, &n, &why),
			 ERR_NONE);
	assert_int_equal(n, 5);
	assert_string_equal(a[0].host, "one");
	assert_int_equal(a[0].port, 19092);
	assert_string_equal(a[1].host, "two");
	assert_int_equal(a[1].port, 9092);
	assert_string_equal(a[2].host, "::1");
	assert_int_equal(a[2].port, 3);
	assert_string_equal(a[3].host, "fe80::1");
	assert_int_equal(a[3].port, 9092);
	assert_string_equal(a[4].host, "127.0.0.1");
	assert_int_equal(a[4].port, 65535);
	free(a);
}

static void what_is_no_address_is_quoted(void **state)
{
	static const char *const bad[] = {"",          ":9092",  "one:",      "one:0",
					  "one:65536", "one:9x", "a,,b",      "one:9092,",
					  "fe80::1",   "[::1",   "[::1]9092", "[]:1",
					  "a b:1",     "one:-1", "one:123456"};
	struct client_address *a;
	struct ks_why why;
	size_t n;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (client_addresses_parse(bad[i], &a, &n, &why) != ERR_INVALID_ARGUMENT)
			fail_msg("\"%s\" was taken", bad[i]);
	assert_int_equal(client_addresses_parse("one:9092,two:x", &a, &n, &why),
			 ERR_INVALID_ARGUMENT);
	assert_string_equal(why.text, "cannot read the address \"two:x\": HOST:PORT is needed");
}

static void a_list_and_a_name_have_an_end(void **state)
{
	char name[300], list[65 * 2 + 1];
	struct client_address *a;
	struct ks_why why;
	size_t n;

	(void)state;
	memset(name, 'x', 254);
	name[254] = 0;
	assert_int_equal(client_addresses_parse(name, &a, &n, &why), ERR_INVALID_ARGUMENT);
	for (size_t i = 0; i < 65; i++)
		memcpy(list + 2 * i, "a,", 2);
	list[65 * 2 - 1] = 0;
	assert_int_equal(client_addresses_parse(list, &a, &n, &why), ERR_INVALID_ARGUMENT);
	list[64 * 2 - 1] = 0;
	assert_int_equal(client_addresses_parse(list, &a, &n, &why), ERR_NONE);
	assert_int_equal(n, 64);
	free(a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_list_is_read_with_and_without_ports),
		cmocka_unit_test(what_is_no_address_is_quoted),
		cmocka_unit_test(a_list_and_a_name_have_an_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

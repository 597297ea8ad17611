/* The table of a client's properties: what it promises to who sets one, and what the documentation says of it. */
#include "cli/client_keys.h"
#include "cli/partitioner.h"
#include "cli/verb.h"
#include "unit.h"

static void names_are_in_order_and_nobody_is_called_twice(void **state)
{
	const struct client_key *k, *other;

	(void)state;
	for (size_t i = 0; (k = client_key_at(i)); i++) {
		assert_int_equal(client_key_index(k), i);
		assert_ptr_equal(client_key_find(k->name), k);
		if ((other = client_key_at(i + 1)))
			assert_true(strcmp(k->name, other->name) < 0);
		for (size_t n = 0; n < CLIENT_ALIASES && k->aliases[n]; n++)
			assert_ptr_equal(client_key_find(k->aliases[n]), k);
		assert_non_null(k->meaning);
		assert_false(client_key_is_unsupported(k->name));
	}
}

static void defaults_are_within_their_ranges(void **state)
{
	const struct client_key *k;
	struct ks_why why = {""};

	(void)state;
	for (size_t i = 0; (k = client_key_at(i)); i++)
		if (k->fallback && client_key_check(k, k->fallback, "here", &why))
			fail_msg("%s", why.text);
}

/* An option that says the same as a key has the same default. */
static void defaults_are_those_of_the_options(void **state)
{
	static const struct option *const tables[] = {topic_produce_options, topic_consume_options};
	const struct client_key *k;
	size_t compared = 0;

	(void)state;
	for (size_t i = 0; (k = client_key_at(i)); i++) {
		for (size_t t = 0; t < 2 && k->option; t++) {
			for (const struct option *o = tables[t]; o->name; o++) {
				if (strcmp(o->name, k->option) != 0 || !k->fallback || !o->fallback)
					continue;
				assert_string_equal(o->fallback, k->fallback);
				compared++;
			}
		}
	}
	assert_int_equal(
		compared,
		4); /* acks, compression.type, fetch.max.bytes, max.partition.fetch.bytes */
}

static void every_partitioner_of_the_table_is_one(void **state)
{
	const char *words = client_key_get("partitioner")->words;
	char word[32];
	enum partitioner p;
	int used;

	(void)state;
	for (; sscanf(words, "%31s%n", word, &used) == 1; words += used)
		assert_true(partitioner_from_name(word, &p));
}

static void refuses(const char *name, const char *value, const char *expected)
{
	struct ks_why why = {""};

	assert_int_equal(client_key_check(client_key_get(name), value, "here", &why),
			 ERR_INVALID_CONFIG);
	assert_string_equal(why.text, expected);
}

static void values_out_of_range_are_refused_with_what_they_can_be(void **state)
{
	char *text = xmalloc(40000);

	(void)state;
	memset(text, 'x', 40000);
	text[39999] = 0;
	refuses("linger.ms", "5s", "here: linger.ms = \"5s\": it is a whole number");
	refuses("linger.ms", "", "here: linger.ms = \"\": it is a whole number");
	refuses("linger.ms", "99999999999999999999",
		"here: linger.ms = \"99999999999999999999\": it is a whole number");
	refuses("linger.ms", "-1", "here: linger.ms = -1: it is from 0 to 900000");
	refuses("enable.auto.commit", "yes",
		"here: enable.auto.commit = \"yes\" is not supported; it can be true, false");
	refuses("security.protocol", "SASL_SSL",
		"here: security.protocol = \"SASL_SSL\" is not supported; it can be plaintext");
	refuses("broker.address.family", "v",
		"here: broker.address.family = \"v\" is not supported; it can be any, v4, v6");
	refuses("client.id", text, "here: client.id is longer than 32767 bytes");
	free(text);
}

static void words_may_be_written_in_capitals(void **state)
{
	(void)state;
	assert_int_equal(
		client_key_check(client_key_get("security.protocol"), "PLAINTEXT", "here", NULL),
		ERR_NONE);
}

static void missing(const char *name, const char *expected)
{
	struct ks_why why = {""};

	assert_null(client_key_find(name));
	assert_int_equal(client_key_missing(name, "here", &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text, expected);
}

static void keys_of_other_clients_are_refused_by_name(void **state)
{
	(void)state;
	missing("sasl.password", "here: the client property \"sasl.password\" is not supported "
				 "here; -X list shows those that are");
	missing("ssl.some.plugin.knows", "here: the client property \"ssl.some.plugin.knows\" is "
					 "not supported here; -X list shows those that are");
	missing("transactional.id", "here: the client property \"transactional.id\" is not "
				    "supported here; -X list shows those that are");
	missing("topic.metadata.refresh.interval.ms",
		"here: the client property \"topic.metadata.refresh.interval.ms\" is not supported "
		"here; -X list shows those that are");
}

static void unknown_keys_are_told_what_was_meant(void **state)
{
	(void)state;
	missing("bootstrap.server", "here: there is no client property \"bootstrap.server\"; did "
				    "you mean \"bootstrap.servers\"?");
	missing("queue.bufering.max.ms", "here: there is no client property "
					 "\"queue.bufering.max.ms\"; did you mean "
					 "\"queue.buffering.max.ms\"?");
	missing("xyzzy", "here: there is no client property \"xyzzy\"; -X list shows all");
}

static void the_prefix_of_topics_is_known(void **state)
{
	(void)state;
	assert_ptr_equal(client_key_find("topic.acks"), client_key_get("acks"));
	assert_null(client_key_find("topic."));
}

/* docs/cli.md has a row for each key, with its aliases, default and range. */
static void the_documentation_has_every_key(void **state)
{
	FILE *f = fopen("docs/cli.md", "re");
	static char text[262144];
	const struct client_key *k;
	struct buf row = {0};

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	for (size_t i = 0; (k = client_key_at(i)); i++) {
		char *range = client_key_range(k);
		buf_clear(&row);
		buf_printf(&row, "\n| `%s`", k->name);
		for (size_t n = 0; n < CLIENT_ALIASES && k->aliases[n]; n++)
			buf_printf(&row, " `%s`", k->aliases[n]);
		buf_printf(&row, " | %s%s%s | %s | %s |\n", k->fallback ? "`" : "",
			   k->fallback ? k->fallback : "", k->fallback ? "`" : "", range,
			   k->meaning);
		if (!strstr(text, buf_cstr(&row)))
			fail_msg("docs/cli.md has no row \"%s\"", buf_cstr(&row) + 1);
		free(range);
	}
	buf_fini(&row);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_are_in_order_and_nobody_is_called_twice),
		cmocka_unit_test(defaults_are_within_their_ranges),
		cmocka_unit_test(defaults_are_those_of_the_options),
		cmocka_unit_test(every_partitioner_of_the_table_is_one),
		cmocka_unit_test(values_out_of_range_are_refused_with_what_they_can_be),
		cmocka_unit_test(words_may_be_written_in_capitals),
		cmocka_unit_test(keys_of_other_clients_are_refused_by_name),
		cmocka_unit_test(unknown_keys_are_told_what_was_meant),
		cmocka_unit_test(the_prefix_of_topics_is_known),
		cmocka_unit_test(the_documentation_has_every_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

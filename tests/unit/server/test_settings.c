/* A broker's settings: ranges, sources and their ranks, listeners. */
#include "tests/check.h"

#include <unistd.h>

#include "server/settings.h"

static int setup(void **state)
{
	*state = settings_new();
	return 0;
}

static int teardown(void **state)
{
	settings_free(*state);
	return 0;
}

static void set(struct settings *s, const char *key, const char *value)
{
	struct ks_why why = {""};

	if (settings_set(s, key, value, "here", &why))
		fail_msg("%s", why.text);
}

static void refused(struct settings *s, const char *key, const char *value, const char *expected)
{
	struct ks_why why = {""};

	assert_int_equal(settings_set(s, key, value, "here", &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text, expected);
}

static void apply(struct settings *s, struct server_options *so, struct broker_options *bo)
{
	struct ks_why why = {""};

	*so = (struct server_options){.broker = NULL};
	*bo = (struct broker_options){.dir = NULL};
	if (settings_apply(s, so, bo, &why))
		fail_msg("%s", why.text);
}

static void not_applied(struct settings *s, const char *expected)
{
	struct server_options so = {.broker = NULL};
	struct broker_options bo = {.dir = NULL};
	struct ks_why why = {""};

	assert_int_equal(settings_apply(s, &so, &bo, &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text, expected);
}

static void without_a_word_everything_is_kafkas_default(void **state)
{
	struct server_options so;
	struct broker_options bo;

	apply(*state, &so, &bo);
	assert_int_equal(so.listener_count, 1);
	assert_string_equal(so.listeners[0].host, "localhost");
	assert_int_equal(so.listeners[0].port, 9092);
	assert_null(so.listeners[0].advertised_host);
	assert_int_equal(so.node_id, 1);
	assert_int_equal(so.request_bytes_max, 104857600);
	assert_int_equal(so.fetch_bytes_max, 57671680);
	assert_int_equal(so.idle_ms, 600000);
	assert_int_equal(so.fetch_sessions_max, 1000);
	assert_true(so.auto_create_topics);
	assert_false(so.refuses_deletion);
	assert_int_equal(bo.default_partitions, 1);
	assert_int_equal(bo.groups.initial_rebalance_delay_ms, 3000);
	assert_int_equal(bo.groups.max_session_timeout_ms, 1800000);
	assert_int_equal(bo.producer_expiration_ms, 86400000);
	assert_int_equal(bo.compaction_check_ms, 15000);
	assert_int_equal(bo.compaction_map_bytes, 134217728);
	assert_false(bo.no_compaction);
	assert_int_equal(bo.txns.max_timeout_ms, 900000);
	assert_int_equal(bo.txns.id_expiration_ms, 604800000);
	assert_int_equal(bo.txns.abort_interval_ms, 10000);
	assert_int_equal(bo.txns.cleanup_interval_ms, 3600000);
	assert_int_equal(bo.txns.check_interval_ms, 60000);
	assert_int_equal(bo.txns.ids_max, 100000);
	assert_false(bo.txns.no_connection_defence);
	assert_int_equal(so.replicas_accepted, 1);
	assert_null(settings_data_dir(*state));
}

static void the_keys_of_transactions_reach_the_broker(void **state)
{
	struct server_options so;
	struct broker_options bo;

	set(*state, "transaction.max.timeout.ms", "1000");
	set(*state, "transactional.id.expiration.ms", "2000");
	set(*state, "transaction.abort.timed.out.transaction.cleanup.interval.ms", "3000");
	set(*state, "transaction.remove.expired.transaction.cleanup.interval.ms", "4000");
	set(*state, "transaction.hanging.check.interval.ms", "5000");
	set(*state, "transactional.ids.max", "6");
	set(*state, "transaction.connection.fencing.enable", "false");
	set(*state, "accepted.replication.factor", "3");
	apply(*state, &so, &bo);
	assert_int_equal(bo.txns.max_timeout_ms, 1000);
	assert_int_equal(bo.txns.id_expiration_ms, 2000);
	assert_int_equal(bo.txns.abort_interval_ms, 3000);
	assert_int_equal(bo.txns.cleanup_interval_ms, 4000);
	assert_int_equal(bo.txns.check_interval_ms, 5000);
	assert_int_equal(bo.txns.ids_max, 6);
	assert_true(bo.txns.no_connection_defence);
	assert_int_equal(so.replicas_accepted, 3);
}

static void values_are_held_against_their_ranges(void **state)
{
	refused(*state, "fetch.max.bytes", "1023",
		"here: fetch.max.bytes = 1023: it is from 1024 to 2147483647");
	refused(*state, "num.partitions", "0", "here: num.partitions = 0: it is from 1 to 100000");
	refused(*state, "num.partitions", "1x",
		"here: num.partitions = \"1x\": it is a whole number");
	refused(*state, "num.partitions", "", "here: num.partitions = \"\": it is a whole number");
	refused(*state, "num.partitions", "99999999999999999999",
		"here: num.partitions = \"99999999999999999999\": it is a whole number");
	refused(*state, "auto.create.topics.enable", "yes",
		"here: auto.create.topics.enable = \"yes\": it is true or false");
	set(*state, "auto.create.topics.enable", " False ");
}

static void an_unknown_key_is_refused_with_what_was_probably_meant(void **state)
{
	refused(*state, "num.partitons", "1",
		"here: no broker has a key \"num.partitons\"; did you mean \"num.partitions\"?");
	refused(*state, "log.retention.hour", "1",
		"here: no broker has a key \"log.retention.hour\"; did you mean "
		"\"log.retention.hours\"?");
	refused(*state, "xyzzy", "1", "here: no broker has a key \"xyzzy\"");
}

static void what_would_weaken_the_broker_by_its_absence_is_refused(void **state)
{
	refused(*state, "authorizer.class.name", "a.B",
		"here: authorizer.class.name = \"a.B\": there is none here, and a broker that "
		"passed over it would be open to all");
	set(*state, "authorizer.class.name", "");
	set(*state, "listeners", "SASL_SSL://h:1");
	not_applied(
		*state,
		"listeners: the protocol of SASL_SSL is SASL_SSL, and only PLAINTEXT is served");
}

static void keys_that_mean_nothing_here_are_taken(void **state)
{
	set(*state, "replica.lag.time.max.ms", "anything");
	set(*state, "zookeeper.connect", "z:2181");
	set(*state, "listener.name.internal.ssl.keystore.location", "x");
}

static void defaults_of_topics_reach_the_broker(void **state)
{
	struct server_options so;
	struct broker_options bo;

	set(*state, "log.retention.hours", "24");
	set(*state, "log.retention.hours", "25");
	set(*state, "message.max.bytes", "2000000");
	refused(*state, "log.cleanup.policy", "burn",
		"here: log.cleanup.policy = \"burn\": want a list, with commas between, of: delete "
		"compact");
	apply(*state, &so, &bo);
	assert_int_equal(bo.topic_default_count, 2);
	assert_string_equal(bo.topic_defaults[0].key, "log.retention.hours");
	assert_string_equal(bo.topic_defaults[0].value, "25");
}

static void numbers_mean_what_they_mean_to_kafka(void **state)
{
	struct server_options so;
	struct broker_options bo;

	set(*state, "group.initial.rebalance.delay.ms", "0");
	set(*state, "max.incremental.fetch.session.cache.slots", "0");
	set(*state, "broker.id", "0");
	set(*state, "connections.max.idle.ms", "-1");
	set(*state, "delete.topic.enable", "false");
	apply(*state, &so, &bo);
	assert_int_equal(bo.groups.initial_rebalance_delay_ms, -1);
	assert_true(so.has_no_sessions);
	assert_true(so.is_node_zero);
	assert_int_equal(so.node_id, 0);
	assert_true(so.idle_ms > INT64_C(1000) * 3600 * 24 * 365);
	assert_true(so.refuses_deletion);
}

static void settings_that_contradict_each_other_are_refused(void **state)
{
	set(*state, "node.id", "3");
	set(*state, "broker.id", "4");
	not_applied(*state, "node.id is 3 and broker.id 4: they are the same thing");
	set(*state, "broker.id", "3");
	set(*state, "group.min.session.timeout.ms", "2000000");
	not_applied(*state, "group.min.session.timeout.ms is above group.max.session.timeout.ms");
	set(*state, "group.min.session.timeout.ms", "6000");
	set(*state, "log.dirs", "/a,/b");
	not_applied(*state, "log.dirs = /a,/b: there is one data directory");
}

static void a_later_source_outranks_an_earlier_one(void **state)
{
	char path[] = "/tmp/ks-settings-XXXXXX";
	int fd = mkstemp(path);
	static const char text[] = "num.partitions=2\nbroker.rack=file\nfetch.max.bytes=5000\n";
	char *environment[] = {(char *)"KAFKA_NUM_PARTITIONS=3",
			       (char *)"KAFKA_BROKER_RACK=env",
			       (char *)"KAFKA_HEAP_OPTS=-Xmx1g",
			       (char *)"PATH=/bin",
			       (char *)"KS_LOG=off",
			       NULL};
	struct server_options so;
	struct broker_options bo;
	struct ks_why why = {""};

	assert_int_equal(write(fd, text, sizeof text - 1), sizeof text - 1);
	close(fd);
	enum ks_err err = settings_load(*state, path, &why);
	unlink(path);
	if (err || settings_load_environment(*state, environment, &why))
		fail_msg("%s", why.text);
	set(*state, "num.partitions", "4");
	apply(*state, &so, &bo);
	assert_int_equal(bo.default_partitions, 4);
	assert_string_equal(so.rack, "env");
	assert_int_equal(so.fetch_bytes_max, 5000);
}

static void a_mistake_in_a_file_is_told_with_its_line(void **state)
{
	char path[] = "/tmp/ks-settings-XXXXXX", expected[200];
	int fd = mkstemp(path);
	struct ks_why why = {""};

	assert_int_equal(write(fd, "\n\nnum.partitions=none\n", 22), 22);
	close(fd);
	assert_int_equal(settings_load(*state, path, &why), ERR_INVALID_CONFIG);
	unlink(path);
	snprintf(expected, sizeof expected, "%s:3: num.partitions = \"none\": it is a whole number",
		 path);
	assert_string_equal(why.text, expected);
}

static void underscores_of_a_variable_are_dots_and_dashes(void **state)
{
	char *environment[] = {(char *)"KAFKA_LOG_DIRS=/x", (char *)"KAFKA_NUM_PARTITIONS=x", NULL};
	struct ks_why why = {""};

	assert_int_equal(settings_load_environment(*state, environment, &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text, "KAFKA_NUM_PARTITIONS in the environment: num.partitions = "
				      "\"x\": it is a whole number");
	assert_string_equal(settings_data_dir(*state), "/x");
}

/* docs/broker.md has a row for each key that means something, with its default. */
static void the_documentation_has_every_key_and_its_default(void **state)
{
	FILE *f = fopen("docs/broker.md", "re");
	char text[65536], row[300];
	const char *key, *value;

	(void)state;
	assert_non_null(f);
	text[fread(text, 1, sizeof text - 1, f)] = 0;
	fclose(f);
	for (size_t i = 0; (key = settings_key(i, &value)); i++) {
		if (value)
			snprintf(row, sizeof row, "\n| `%s` | `%s` | ", key, value);
		else
			snprintf(row, sizeof row, "\n| `%s` | | ", key);
		if (!strstr(text, row))
			fail_msg("docs/broker.md has no row \"%s\"", row + 1);
	}
}

static void every_key_is_explained(void **state)
{
	struct settings_key_about about;
	const char *key, *value;

	(void)state;
	for (size_t i = 0; (key = settings_key(i, &value)); i++) {
		assert_true(settings_explain(key, &about));
		assert_non_null(about.meaning);
		assert_true(value ? !strcmp(about.fallback, value) : !about.fallback);
	}
	assert_true(settings_explain("num.partitions", &about));
	assert_string_equal(about.range, "1 to 100000");
	assert_true(settings_explain("background.threads", &about));
	assert_string_equal(about.meaning, "known to Kafka, without effect here");
	assert_false(settings_explain("log.retention.ms", &about)); /* a topic's */
	assert_false(settings_explain("xyzzy", &about));
	assert_string_equal(settings_near("num.partition"), "num.partitions");
}

/* --- listeners --- */

static void listeners_have_names_hosts_and_what_is_told_to_clients(void **state)
{
	struct server_options so;
	struct broker_options bo;

	set(*state, "listeners", "IN://:9092, OUT://[::1]:9093,CTL://:9094");
	set(*state, "advertised.listeners", "OUT://far.away:443");
	set(*state, "listener.security.protocol.map", "IN:PLAINTEXT,out:plaintext,CTL:SSL");
	set(*state, "controller.listener.names", "CTL");
	apply(*state, &so, &bo);
	assert_int_equal(so.listener_count, 2);
	assert_string_equal(so.listeners[0].host, "");
	assert_int_equal(so.listeners[0].port, 9092);
	assert_null(so.listeners[0].advertised_host);
	assert_string_equal(so.listeners[1].host, "::1");
	assert_string_equal(so.listeners[1].advertised_host, "far.away");
	assert_int_equal(so.listeners[1].advertised_port, 443);
}

static void listeners_that_make_no_sense_are_refused(void **state)
{
	static const char *const wrong[][3] = {
		{"9092", NULL, "\"9092\" is no listener: it is NAME://HOST:PORT"},
		{"://:1", NULL, "\"://:1\" is no listener: it is NAME://HOST:PORT"},
		{"PLAINTEXT://h", NULL, "\"PLAINTEXT://h\" is no listener: it is NAME://HOST:PORT"},
		{"PLAINTEXT://h:65536", NULL,
		 "\"PLAINTEXT://h:65536\" is no listener: it is NAME://HOST:PORT"},
		{"PLAINTEXT://::1:1", NULL,
		 "\"PLAINTEXT://::1:1\" is no listener: it is NAME://HOST:PORT"},
		{"X://h:1", NULL, "listener X: listener.security.protocol.map does not have it"},
		{"PLAINTEXT://h:1,plaintext://h:2", NULL, "two listeners are called plaintext"},
		{"", NULL, "listeners: there is none for clients"},
		{"PLAINTEXT://h:1", "Y://h:1", "advertised.listeners: listeners has no Y"},
		{"PLAINTEXT://h:1", "PLAINTEXT://0.0.0.0:1",
		 "advertised.listeners: PLAINTEXT names no host that a client could connect to"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct settings *s = settings_new();
		(void)state;
		set(s, "listeners", wrong[i][0]);
		if (wrong[i][1])
			set(s, "advertised.listeners", wrong[i][1]);
		not_applied(s, wrong[i][2]);
		settings_free(s);
	}
}

static void the_command_line_replaces_all_listeners(void **state)
{
	struct server_options so;
	struct broker_options bo;
	struct ks_why why = {""};

	set(*state, "listeners", "SSL://x:1");
	assert_int_equal(settings_listen(*state, "localhost:0", &why), ERR_NONE);
	assert_int_equal(settings_listen(*state, ":7", &why), ERR_NONE);
	assert_int_equal(settings_listen(*state, "localhost", &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text,
			    "\"localhost\" is no address to listen on: HOST:PORT, or [IPV6]:PORT");
	apply(*state, &so, &bo);
	assert_int_equal(so.listener_count, 2);
	assert_string_equal(so.listeners[0].host, "localhost");
	assert_int_equal(so.listeners[1].port, 7);
}

#define SETTINGS_TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		SETTINGS_TEST(without_a_word_everything_is_kafkas_default),
		SETTINGS_TEST(the_keys_of_transactions_reach_the_broker),
		SETTINGS_TEST(values_are_held_against_their_ranges),
		SETTINGS_TEST(an_unknown_key_is_refused_with_what_was_probably_meant),
		SETTINGS_TEST(what_would_weaken_the_broker_by_its_absence_is_refused),
		SETTINGS_TEST(keys_that_mean_nothing_here_are_taken),
		SETTINGS_TEST(defaults_of_topics_reach_the_broker),
		SETTINGS_TEST(numbers_mean_what_they_mean_to_kafka),
		SETTINGS_TEST(settings_that_contradict_each_other_are_refused),
		SETTINGS_TEST(a_later_source_outranks_an_earlier_one),
		SETTINGS_TEST(a_mistake_in_a_file_is_told_with_its_line),
		SETTINGS_TEST(underscores_of_a_variable_are_dots_and_dashes),
		SETTINGS_TEST(the_documentation_has_every_key_and_its_default),
		SETTINGS_TEST(every_key_is_explained),
		SETTINGS_TEST(listeners_have_names_hosts_and_what_is_told_to_clients),
		SETTINGS_TEST(listeners_that_make_no_sense_are_refused),
		SETTINGS_TEST(the_command_line_replaces_all_listeners),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

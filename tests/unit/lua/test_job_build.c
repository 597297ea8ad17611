/* What a script says becomes a struct job; what it says wrongly becomes a sentence. */
#include "script_fixture.h"

static void the_smallest_job(void **state)
{
	const struct job *j = fixture_job(*state, "flows = { f = { ks.from \"a\", ks.to \"b\" } }");

	assert_string_equal(j->name, "j");
	assert_int_equal(j->guarantee, EXACTLY_ONCE);
	assert_int_equal(j->default_key, SERDE_STRING);
	assert_int_equal(j->default_value, SERDE_JSON);
	assert_false(j->on_error.is_set);
	assert_int_equal(j->flow_count, 1);
	assert_string_equal(j->flows[0].topics[0], "a");
	assert_true(j->flows[0].from_start);
	assert_int_equal(j->flows[0].steps.count, 1);
	assert_int_equal(j->flows[0].steps.steps[0].kind, STEP_TO);
	assert_string_equal(j->flows[0].steps.steps[0].topic, "b");
	assert_string_equal(j->flows[0].steps.steps[0].name, "f.to");
}

static void settings_and_their_names_in_kafka_streams(void **state)
{
	const struct job *j =
		fixture_job(*state, "guarantee = \"at_least_once\", commit = \"250ms\", threads = "
				    "3, cache = \"16MiB\",\n"
				    "defaults = { key = \"i64\", value = \"bytes\" },\n"
				    "flows = { f = { ks.from \"a\", ks.to \"b\" } }");

	assert_int_equal(j->guarantee, AT_LEAST_ONCE);
	assert_int_equal(j->commit_ms, 250);
	assert_int_equal(j->threads, 3);
	assert_int_equal(j->cache_bytes, 16 << 20);
	assert_int_equal(j->default_key, SERDE_I64);
	assert_int_equal(j->default_value, SERDE_BYTES);

	j = fixture_job(*state,
			"config = { [\"processing.guarantee\"] = \"exactly_once_v2\", "
			"[\"commit.interval.ms\"] = 30,\n"
			"[\"num.stream.threads\"] = \"2\", [\"application.id\"] = \"app\",\n"
			"[\"default.key.serde\"] = "
			"\"org.apache.kafka.common.serialization.Serdes$LongSerde\",\n"
			"[\"errors.dead.letter.queue.topic.name\"] = \"dlq\" },\n"
			"flows = { f = { ks.from \"a\", ks.to \"b\" } }");
	assert_string_equal(j->name, "app");
	assert_int_equal(j->guarantee, EXACTLY_ONCE);
	assert_int_equal(j->commit_ms, 30);
	assert_int_equal(j->threads, 2);
	assert_int_equal(j->default_key, SERDE_I64);
	assert_string_equal(j->on_error.dead_letter_topic, "dlq");
}

static const char *config_of(const struct topic_decl *t, const char *key)
{
	for (size_t i = 0; i < t->config_count; i++) {
		if (strcmp(t->config_keys[i], key) == 0)
			return t->config_values[i];
	}
	return NULL;
}

static void topics_take_kafkas_names(void **state)
{
	const struct job *j = fixture_job(
		*state,
		"topics = { b = { partitions = 4, key = \"i64\", value = \"string\", retention = "
		"\"30d\",\n"
		"  retention_bytes = \"1GiB\", compact = true, max_message_bytes = 2000,\n"
		"  config = { [\"segment.ms\"] = 5 } }, a = { retention = \"forever\" } },\n"
		"flows = { f = { ks.from \"a\", ks.to \"b\" } }");
	const struct topic_decl *b = &j->topics[1];

	assert_string_equal(j->topics[0].name, "a");
	assert_string_equal(config_of(&j->topics[0], "retention.ms"), "-1");
	assert_int_equal(b->partitions, 4);
	assert_true(b->has_key_serde && b->has_value_serde);
	assert_int_equal(b->key_serde, SERDE_I64);
	assert_string_equal(config_of(b, "retention.ms"), "2592000000");
	assert_string_equal(config_of(b, "retention.bytes"), "1073741824");
	assert_string_equal(config_of(b, "cleanup.policy"), "compact");
	assert_string_equal(config_of(b, "max.message.bytes"), "2000");
	assert_string_equal(config_of(b, "segment.ms"), "5");
}

static void functions_are_numbered_flow_by_flow_in_the_order_of_names(void **state)
{
	const struct job *j = fixture_job(
		*state, "flows = { z = { ks.from \"a\", ks.filter(function() end), ks.to \"b\" },\n"
			"m = { ks.from \"a\", ks.map(print), ks.to { topic = print, partition = "
			"print } },\n"
			"a = { ks.from \"a\", ks.split { { when = print, ks.map(print), "
			"ks.to(print) } } } }");

	assert_string_equal(j->flows[0].name, "a");
	assert_int_equal(j->flows[0].steps.steps[0].branches[0].when, 0);
	assert_int_equal(j->flows[0].steps.steps[0].branches[0].steps.steps[0].fn, 1);
	assert_int_equal(j->flows[0].steps.steps[0].branches[0].steps.steps[1].fn, 2);
	assert_int_equal(j->flows[1].steps.steps[0].fn, 3);
	assert_int_equal(j->flows[1].steps.steps[1].fn, 4);
	assert_int_equal(j->flows[1].steps.steps[1].partition_fn, 5);
	assert_int_equal(j->flows[2].steps.steps[0].fn, 6);
}

static void split_by_a_value_needs_no_function(void **state)
{
	const struct job *j = fixture_job(
		*state, "flows = { f = { ks.from \"a\", ks.split { by = \"type\",\n"
			"order = { ks.filter \"ok\", ks.to \"o\" }, refund = ks.to \"r\",\n"
			"default = ks.to \"x\" } } }");
	const struct step *s = &j->flows[0].steps.steps[0];

	assert_int_equal(s->branch_count, 3);
	assert_string_equal(s->branches[0].when_path, "type");
	assert_string_equal(s->branches[0].when_equals, "\"order\"");
	assert_int_equal(s->branches[0].steps.count, 2);
	assert_string_equal(s->branches[1].when_equals, "\"refund\"");
	assert_null(s->branches[2].when_path);
	assert_int_equal(s->branches[2].when, FN_NONE);
}

static void branches_compare_values_of_any_kind(void **state)
{
	const struct job *j =
		fixture_job(*state, "flows = { f = { ks.from \"a\", ks.split {\n"
				    "{ when = { path = \"n\", equals = 5 }, ks.to \"b\" }, { when "
				    "= { path = \"t\", equals = true }, ks.to \"b\" },\n"
				    "{ when = { path = \"z\", equals = ks.null }, ks.to \"b\" }, { "
				    "when = \"flag\", ks.to \"b\" }, { ks.to \"c\" } } } }");
	const struct branch *b = j->flows[0].steps.steps[0].branches;

	assert_string_equal(b[0].when_equals, "5");
	assert_string_equal(b[1].when_equals, "true");
	assert_string_equal(b[2].when_equals, "null");
	assert_string_equal(b[3].when_path, "flag");
	assert_null(b[3].when_equals);
}

static void state_steps_get_their_store(void **state)
{
	const struct job *j = fixture_job(
		*state,
		"flows = { f = { ks.from \"a\", ks.group \"u\", ks.count(), ks.to \"b\" },\n"
		"g = { ks.from \"a\", ks.sum { of = \"n\", as = \"total\" }, ks.to \"b\" },\n"
		"h = { ks.from \"a\", ks.aggregate { init = { n = 0, list = ks.array {} }, with = "
		"print }, ks.to \"b\" },\n"
		"i = { ks.from \"a\", ks.dedup { by = \"id\", within = \"24h\", max = 10 }, ks.to "
		"\"b\" } }");

	assert_string_equal(j->flows[0].steps.steps[1].store, "f.count");
	assert_string_equal(j->flows[1].steps.steps[0].store, "total");
	assert_string_equal(j->flows[1].steps.steps[0].path, "n");
	assert_string_equal(j->flows[2].steps.steps[0].init, "{\"list\":[],\"n\":0}");
	assert_int_equal(j->flows[3].steps.steps[0].within_ms, 86400000);
	assert_int_equal(j->flows[3].steps.steps[0].ids_max, 10);
}

static void from_takes_topics_or_a_pattern(void **state)
{
	const struct job *j =
		fixture_job(*state, "flows = { f = { ks.from { \"a\", \"b\", time = \"ts\", start "
				    "= \"end\", value = \"string\" }, ks.to \"c\" },\n"
				    "g = { ks.from { pattern = \"^x\\\\.\" }, ks.to \"c\" }, h = { "
				    "ks.merge { \"a\", \"b\" }, ks.to \"c\" } }");

	assert_int_equal(j->flows[0].topic_count, 2);
	assert_string_equal(j->flows[0].time_path, "ts");
	assert_false(j->flows[0].from_start);
	assert_true(j->flows[0].has_value_serde);
	assert_string_equal(j->flows[1].pattern, "^x\\.");
	assert_int_equal(j->flows[2].topic_count, 2);
}

static void policies(void **state)
{
	const struct job *j = fixture_job(
		*state, "on_error = ks.dead_letter { topic = \"d\", after = ks.retry { times = 2, "
			"backoff = \"50ms\" } },\n"
			"flows = { f = { on_error = ks.skip, ks.from \"a\", ks.to \"b\" },\n"
			"g = { on_error = ks.fail_job { after = ks.retry(3) }, ks.from \"a\", "
			"ks.to \"b\" } }");

	assert_int_equal(j->on_error.action, ERROR_DEAD_LETTER);
	assert_string_equal(j->on_error.dead_letter_topic, "d");
	assert_int_equal(j->on_error.retry_times, 2);
	assert_int_equal(j->on_error.retry_backoff_ms, 50);
	assert_true(j->flows[0].on_error.is_set);
	assert_int_equal(j->flows[0].on_error.action, ERROR_SKIP);
	assert_int_equal(j->flows[1].on_error.action, ERROR_FAIL_JOB);
	assert_int_equal(j->flows[1].on_error.retry_times, 3);
}

static void fragments_are_shared_lists(void **state)
{
	assert_int_equal(fixture_load(*state,
				      "local ks = require \"ks\"\n"
				      "local common = { ks.filter \"ok\", { ks.peek(print) } }\n"
				      "return ks.job \"j\" { flows = {\n"
				      "a = { ks.from \"x\", common, ks.to \"y\" },\n"
				      "b = { ks.from \"x\", common, ks.to \"z\" } } }\n"),
			 ERR_NONE);
	struct script_fixture *x = *state;
	const struct job *j = script_file_job(x->file, 0);

	assert_int_equal(j->flows[0].steps.count, 3);
	assert_int_equal(j->flows[1].steps.steps[1].kind, STEP_PEEK);
	assert_string_equal(j->flows[1].steps.steps[1].name, "b.peek");
}

static void places_point_into_the_script(void **state)
{
	struct script_fixture *x = *state;
	const struct job *j = fixture_job(
		x, "topics = {\n a = {},\n b = {} },\nflows = {\n f = {\n  ks.from \"a\",\n"
		   "  ks.to \"b\" } }");
	char *where = xasprintf("%s:9", x->path);

	assert_string_equal(j->flows[0].steps.steps[0].where, where);
	free(where);
	where = xasprintf("%s:2", x->path);
	assert_string_equal(j->where, where);
	free(where);
	where = xasprintf("%s:5", x->path);
	assert_string_equal(j->topics[1].where, where);
	free(where);
}

/* Inside of a job's table, and what the report must have. */
static const struct {
	const char *inside, *says;
} mistakes[] = {
	{"comit = \"1s\", flows = { f = { ks.from \"a\", ks.to \"b\" } }",
	 "did you mean \"commit\"?"},
	{"flows = { f = { ks.from \"a\", ks.fliter(print), ks.to \"b\" } }",
	 "did you mean ks.filter?"},
	{"defaults = { key = \"jsn\" }, flows = { f = { ks.from \"a\", ks.to \"b\" } }",
	 "did you mean \"json\"?"},
	{"topics = { a = {}, [\"orders.large\"] = {} }, flows = { f = { ks.from \"a\", ks.to "
	 "\"orders.larg\" } }",
	 "did you mean \"orders.large\"?"},
	{"topics = { a = { partitons = 6 } }, flows = { f = { ks.from \"a\", ks.to \"a\" } }",
	 "did you mean \"partitions\"?"},
	{"topics = { a = { partitions = \"6\" } }, flows = { f = { ks.from \"a\", ks.to \"a\" } }",
	 "partitions must be a whole number from 1 to 100000, not the string \"6\""},
	{"topics = { a = { retention = \"30 days\" } }, flows = { f = { ks.from \"a\", ks.to \"a\" "
	 "} }",
	 "retention must be a duration such as"},
	{"topics = { [\"a b\"] = {} }, flows = { f = { ks.from \"a\", ks.to \"a\" } }",
	 "cannot be the name of a topic"},
	{"guarantee = \"sometimes\", flows = { f = { ks.from \"a\", ks.to \"b\" } }",
	 "guarantee must be \"exactly_once\""},
	{"tables = {}, flows = { f = { ks.from \"a\", ks.to \"b\" } }",
	 "tables and joins are not available"},
	{"on_error = \"dlq\", flows = { f = { ks.from \"a\", ks.to \"b\" } }",
	 "on_error must be ks.dead_letter"},
	{"on_error = ks.dead_letter { topic = 5 }, flows = { f = { ks.from \"a\", ks.to \"b\" } }",
	 "must be the name of a topic"},
	{"config = { [\"bootstrap.servers\"] = \"x\" }, flows = { f = { ks.from \"a\", ks.to \"b\" "
	 "} }",
	 "is not known here"},
	{"", "needs flows"},
	{"flows = {}", "has no flow"},
	{"flows = { { ks.from \"a\", ks.to \"b\" } }", "give each flow a name"},
	{"flows = { f = ks.from \"a\" }", "must be a list of steps"},
	{"flows = { f = {} }", "must begin with ks.from"},
	{"flows = { f = { ks.from \"a\" } }", "has no steps"},
	{"flows = { f = { ks.to \"b\" } }", "must begin with ks.from"},
	{"flows = { f = { ks.filter \"x\", ks.from \"a\", ks.to \"b\" } }",
	 "must be the first step"},
	{"flows = { f = { ks.from \"a\", ks.filter \"x\" } }",
	 "the records go nowhere after ks.filter"},
	{"flows = { f = { ks.from \"a\", ks.to \"b\", ks.map(print) } }",
	 "no step can follow ks.to"},
	{"flows = { f = { ks.from \"a\", ks.split { { ks.to \"b\" } }, ks.to \"c\" } }",
	 "no step can follow ks.split"},
	{"flows = { f = { ks.from \"a\", \"b\" } }", "write ks.from \"b\" or ks.to \"b\""},
	{"flows = { f = { ks.from \"a\", print, ks.to \"b\" } }", "step 2 is a function: wrap it"},
	{"flows = { f = { ks.from \"a\", ks.group, ks.to \"b\" } }",
	 "step 2 is ks.group itself: call it"},
	{"flows = { f = { ks.from \"a\", ks.skip, ks.to \"b\" } }", "ks.skip is no step"},
	{"flows = { f = { ks.from \"a\", ks.map \"x\", ks.to \"b\" } }",
	 "ks.map cannot be the string \"x\""},
	{"flows = { f = { ks.from \"a\", ks.map(), ks.to \"b\" } }", "ks.map cannot be nil"},
	{"flows = { f = { ks.from \"a\", ks.filter(print, print), ks.to \"b\" } }",
	 "takes one argument, not 2"},
	{"flows = { f = { ks.from \"a\", ks.rekey \"a..b\", ks.to \"b\" } }", "is not a path"},
	{"flows = { f = { ks.from \"a\", ks.to { topic = \"b\", partitions = 1 } } }",
	 "did you mean \"partition\"?"},
	{"flows = { f = { ks.from \"a\", ks.to { topic = \"b\", partition = 1 } } }",
	 "partition must be a function"},
	{"flows = { f = { ks.from \"a\", ks.count(), ks.count {}, ks.to \"b\" } }",
	 "give each a name"},
	{"flows = { f = { ks.from \"a\", ks.count { emit = \"final\" }, ks.to \"b\" } }",
	 "windows are not available yet"},
	{"flows = { f = { ks.from \"a\", ks.aggregate { with = print }, ks.to \"b\" } }",
	 "needs init"},
	{"flows = { f = { ks.from \"a\", ks.aggregate { init = print, with = print }, ks.to \"b\" "
	 "} }",
	 "not a function"},
	{"flows = { f = { ks.from \"a\", ks.tumbling { size = \"1m\" }, ks.to \"b\" } }",
	 "windows are not available yet"},
	{"flows = { f = { ks.from \"a\", ks.join { table = \"t\" }, ks.to \"b\" } }",
	 "joins are not available yet"},
	{"flows = { f = { ks.from \"a\", ks.sink.sqlite {} } }", "sinks are not available yet"},
	{"flows = { f = { ks.from \"a\", ks.split {} } }", "ks.split has no branch"},
	{"flows = { f = { ks.from \"a\", ks.split { { ks.to \"b\" }, { ks.to \"c\" } } } }",
	 "this branch gets no record"},
	{"flows = { f = { ks.from \"a\", ks.split { { when = 5, ks.to \"b\" } } } }",
	 "when must be a function, a path"},
	{"flows = { f = { ks.from \"a\", ks.split { { wen = print, ks.to \"b\" } } } }",
	 "did you mean \"when\"?"},
	{"flows = { f = { ks.from \"a\", ks.split { { ks.from \"b\" } } } }",
	 "cannot stand in a branch"},
	{"flows = { f = { ks.from \"a\", ks.split { by = \"t\", x = { ks.filter \"y\" } } } }",
	 "go nowhere after ks.filter"},
	{"flows = { f = { ks.from {}, ks.to \"b\" } }", "ks.from names no topic"},
	{"flows = { f = { ks.from { \"a\", pattern = \"b\" }, ks.to \"b\" } }",
	 "topics or a pattern"},
	{"flows = { f = { ks.from \"a\", ks.sample(0), ks.to \"b\" } }",
	 "ks.sample cannot be the number 0"},
	{"flows = { f = { ks.from \"a\", ks.dedup { by = \"id\", within = \"abc\" }, ks.to \"b\" } "
	 "}",
	 "within must be a duration"},
};

static void every_mistake_has_its_sentence(void **state)
{
	struct script_fixture *x = *state;

	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		enum ks_err err = fixture_load_job(x, mistakes[i].inside);

		if (err != ERR_SCRIPT)
			print_error("accepted: %s\n", mistakes[i].inside);
		assert_int_equal(err, ERR_SCRIPT);
		fixture_says(x, mistakes[i].says);
		fixture_says(x, x->path); /* with file:line */
		fixture_says(x, " | ");   /* and the line itself */
	}
}

static void one_run_finds_all_mistakes(void **state)
{
	struct script_fixture *x = *state;

	assert_int_equal(
		fixture_load_job(x,
				 "comit = 1, threads = \"x\",\ntopics = { a = { key = 5 } },\n"
				 "flows = { f = { ks.from \"a\", ks.map(1) }, g = { ks.to(2) } }"),
		ERR_SCRIPT);
	fixture_says(x, "comit");
	fixture_says(x, "threads must be");
	fixture_says(x, "key must be a serde");
	fixture_says(x, "ks.map cannot be the number 1");
	fixture_says(x, "ks.to cannot be the number 2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		SCRIPT_TEST(the_smallest_job),
		SCRIPT_TEST(settings_and_their_names_in_kafka_streams),
		SCRIPT_TEST(topics_take_kafkas_names),
		SCRIPT_TEST(functions_are_numbered_flow_by_flow_in_the_order_of_names),
		SCRIPT_TEST(split_by_a_value_needs_no_function),
		SCRIPT_TEST(branches_compare_values_of_any_kind),
		SCRIPT_TEST(state_steps_get_their_store),
		SCRIPT_TEST(from_takes_topics_or_a_pattern),
		SCRIPT_TEST(policies),
		SCRIPT_TEST(fragments_are_shared_lists),
		SCRIPT_TEST(places_point_into_the_script),
		SCRIPT_TEST(every_mistake_has_its_sentence),
		SCRIPT_TEST(one_run_finds_all_mistakes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

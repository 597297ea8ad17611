/* test_configs_api.c - DescribeConfigs, AlterConfigs, IncrementalAlterConfigs, asked over a
 * connection. */
#include "admin_rig.h"

#include "base/log.h"

enum { TOPIC = 2, BROKER = 4, LOGGER = 8 };
enum { SET, DELETE, APPEND, SUBTRACT };

static const struct describe_configs_response_result *describe(struct rig *r, int16_t version,
							       int8_t type, const char *name,
							       struct slice *keys, int32_t n)
{
	struct describe_configs_request_resource resource = {.resource_type = type,
							     .resource_name = slice_str(name),
							     .configuration_keys = {keys, n}};
	struct describe_configs_request request = {.resources = {&resource, 1},
						   .include_synonyms = true};
	const struct describe_configs_response *m =
		rig_ask(r, API_describe_configs, version, &request);

	assert_int_equal(m->results.n, 1);
	return &m->results.v[0];
}

static const struct describe_configs_response_config *
find(const struct describe_configs_response_result *result, const char *key)
{
	for (int32_t i = 0; i < result->configs.n; i++)
		if (slice_equal(result->configs.v[i].name, slice_str(key)))
			return &result->configs.v[i];
	fail_msg("no %s", key);
	return NULL;
}

static void topic_with(struct rig *r, const char *name, const char *key, const char *value)
{
	struct config_entry config = {key, value};
	struct topic_spec spec = {
		.name = name, .partitions = 1, .configs = &config, .config_count = 1};

	assert_ok(broker_topic_create(r->b, &spec, why));
}

static void a_topics_configuration_has_values_sources_and_types(void **state)
{
	struct rig *r = *state;

	topic_with(r, "in", "retention.ms", "5000");
	for (int16_t version = 1; version <= 4; version++) {
		const struct describe_configs_response_result *m =
			describe(r, version, TOPIC, "in", NULL, -1);
		assert_int_equal(m->error_code, ERR_NONE);
		assert_slice(m->resource_name, "in");
		assert_true(m->configs.n > 20);
		const struct describe_configs_response_config *c = find(m, "retention.ms");
		assert_slice(c->value, "5000");
		assert_int_equal(c->config_source, 1);
		assert_int_equal(c->config_type, version >= 3 ? CONFIG_LONG : 0);
		assert_slice(c->synonyms.v[0].name, "retention.ms");
		assert_slice(c->synonyms.v[0].value, "5000");
		assert_int_equal(c->synonyms.v[0].source, 1);
		/* Then what would hold without it: the broker's default. */
		assert_slice(c->synonyms.v[c->synonyms.n - 1].name, "log.retention.hours");
		assert_slice(c->synonyms.v[c->synonyms.n - 1].value, "168");
		assert_int_equal(c->synonyms.v[c->synonyms.n - 1].source, 5);
		assert_int_equal(find(m, "cleanup.policy")->config_source, 5);
	}
}

static void only_the_keys_that_are_asked_for_are_told(void **state)
{
	struct rig *r = *state;
	struct slice keys[] = {slice_str("cleanup.policy"), slice_str("nonsense")};

	rig_topic(r, "in", 1);
	const struct describe_configs_response_result *m = describe(r, 4, TOPIC, "in", keys, 2);
	assert_int_equal(m->configs.n, 1);
	assert_slice(m->configs.v[0].name, "cleanup.policy");
	assert_slice(m->configs.v[0].value, "delete");
}

static void what_has_no_configuration_is_refused(void **state)
{
	struct rig *r = *state;

	assert_int_equal(describe(r, 4, TOPIC, "nope", NULL, -1)->error_code,
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(describe(r, 4, TOPIC, "a/b", NULL, -1)->error_code,
			 ERR_INVALID_TOPIC_EXCEPTION);
	const struct describe_configs_response_result *m = describe(r, 4, BROKER, "8", NULL, -1);
	assert_int_equal(m->error_code, ERR_INVALID_REQUEST);
	assert_slice(m->error_message, "this is broker 7, not \"8\"");
	assert_int_equal(describe(r, 4, 16, "x", NULL, -1)->error_code, ERR_INVALID_REQUEST);
}

static void a_resource_that_is_named_twice_is_told_once(void **state)
{
	struct rig *r = *state;
	struct describe_configs_request_resource resources[] = {
		{TOPIC, slice_str("in"), {NULL, -1}}, {TOPIC, slice_str("in"), {NULL, -1}}};
	struct describe_configs_request request = {.resources = {resources, 2}};

	rig_topic(r, "in", 1);
	const struct describe_configs_response *m = rig_ask(r, API_describe_configs, 4, &request);
	assert_int_equal(m->results.v[0].error_code, ERR_NONE);
	assert_int_equal(m->results.v[1].error_code, ERR_INVALID_REQUEST);
	assert_int_equal(m->results.v[1].configs.n, 0);
}

static void the_brokers_configuration_is_what_it_was_started_with(void **state)
{
	struct rig *r = *state;
	char listeners[64];
	const struct describe_configs_response_result *m = describe(r, 4, BROKER, "7", NULL, -1);

	assert_int_equal(m->error_code, ERR_NONE);
	assert_slice(find(m, "node.id")->value, "7");
	assert_int_equal(find(m, "node.id")->config_source, 4);
	assert_true(find(m, "node.id")->read_only);
	assert_slice(find(m, "num.partitions")->value, "3");
	assert_slice(find(m, "log.retention.hours")->value, "168");
	assert_int_equal(find(m, "log.retention.hours")->config_source, 5);
	snprintf(listeners, sizeof listeners, "PLAINTEXT://127.0.0.1:%u", server_port(r->s, 0));
	assert_slice(find(m, "listeners")->value, listeners);
	for (int32_t i = 1; i < m->configs.n; i++)
		assert_true(slice_compare(m->configs.v[i - 1].name, m->configs.v[i].name) < 0);
	/* Nothing is set for all brokers at once. */
	m = describe(r, 4, BROKER, "", NULL, -1);
	assert_int_equal(m->error_code, ERR_NONE);
	assert_int_equal(m->configs.n, 0);
}

/* --- changing --- */

static enum ks_err change(struct rig *r, int8_t type, const char *name, const char *key, int8_t op,
			  const char *value, bool is_dry)
{
	struct incremental_alter_configs_request_config config = {
		slice_str(key), op, value ? slice_str(value) : SLICE_NULL};
	struct incremental_alter_configs_request_resource resource = {
		type, slice_str(name), {&config, 1}};
	struct incremental_alter_configs_request request = {.resources = {&resource, 1},
							    .validate_only = is_dry};
	const struct incremental_alter_configs_response *m =
		rig_ask(r, API_incremental_alter_configs, 1, &request);

	assert_int_equal(m->responses.n, 1);
	assert_slice(m->responses.v[0].resource_name, name);
	assert_true((m->responses.v[0].error_code == 0) ==
		    (m->responses.v[0].error_message.data == NULL));
	return (enum ks_err)m->responses.v[0].error_code;
}

static void assert_value(struct rig *r, const char *key, const char *value)
{
	assert_slice(find(describe(r, 4, TOPIC, "in", NULL, -1), key)->value, value);
}

static void values_are_set_deleted_appended_and_subtracted(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 1);
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", SET, "1000", false), ERR_NONE);
	assert_value(r, "retention.ms", "1000");
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", DELETE, NULL, false), ERR_NONE);
	assert_value(r, "retention.ms", "604800000");
	assert_int_equal(change(r, TOPIC, "in", "cleanup.policy", APPEND, "compact", false),
			 ERR_NONE);
	assert_value(r, "cleanup.policy", "delete,compact");
	assert_int_equal(change(r, TOPIC, "in", "cleanup.policy", SUBTRACT, "delete", false),
			 ERR_NONE);
	assert_value(r, "cleanup.policy", "compact");
}

static void a_change_that_is_only_checked_changes_nothing(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 1);
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", SET, "1000", true), ERR_NONE);
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", SET, "soon", true),
			 ERR_INVALID_CONFIG);
	assert_value(r, "retention.ms", "604800000");
}

static void impossible_changes_are_refused(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 1);
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", APPEND, "1", false),
			 ERR_INVALID_CONFIG);
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", SET, NULL, false),
			 ERR_INVALID_REQUEST);
	assert_int_equal(change(r, TOPIC, "in", "retention.ms", 9, "1", false),
			 ERR_INVALID_REQUEST);
	assert_int_equal(change(r, TOPIC, "in", "nonsense", SET, "1", false), ERR_INVALID_CONFIG);
	assert_int_equal(change(r, TOPIC, "out", "retention.ms", SET, "1", false),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(change(r, BROKER, "7", "log.retention.ms", SET, "1", false),
			 ERR_INVALID_REQUEST);
	assert_int_equal(change(r, BROKER, "8", "log.retention.ms", SET, "1", false),
			 ERR_INVALID_REQUEST);
	assert_int_equal(change(r, 32, "g", "x", SET, "1", false), ERR_INVALID_REQUEST);
}

static void a_brokers_configuration_is_what_it_was_started_with(void **state)
{
	static const char *const names[] = {"7", ""};
	struct incremental_alter_configs_request_config config = {slice_str("message.max.bytes"),
								  SET, slice_str("2000000")};
	struct incremental_alter_configs_request_resource resource = {
		BROKER, slice_str("7"), {&config, 1}};
	struct incremental_alter_configs_request request = {.resources = {&resource, 1}};
	struct rig *r = *state;

	for (size_t i = 0; i < 2; i++) {
		for (int8_t op = SET; op <= SUBTRACT; op++)
			assert_int_equal(change(r, BROKER, names[i], "num.partitions", op,
						op == DELETE ? NULL : "4", false),
					 op == DELETE ? ERR_NONE : ERR_INVALID_REQUEST);
		assert_int_equal(change(r, BROKER, names[i], "num.partitions", 9, "4", false),
				 ERR_INVALID_REQUEST);
	}
	assert_int_equal(change(r, BROKER, "8", "num.partitions", DELETE, NULL, false),
			 ERR_INVALID_REQUEST);
	const struct incremental_alter_configs_response *m =
		rig_ask(r, API_incremental_alter_configs, 1, &request);
	assert_slice(m->responses.v[0].error_message,
		     "\"message.max.bytes\" cannot be changed while the broker runs: it is started "
		     "with its configuration; a topic can have its own \"max.message.bytes\"");
}

static void alter_configs_sets_these_and_no_others(void **state)
{
	struct rig *r = *state;
	struct alter_configs_request_config config = {slice_str("max.message.bytes"),
						      slice_str("2000")};
	struct alter_configs_request_resource resource = {TOPIC, slice_str("in"), {&config, 1}};
	struct alter_configs_request request = {.resources = {&resource, 1}, .validate_only = true};

	topic_with(r, "in", "retention.ms", "5000");
	const struct alter_configs_response *m = rig_ask(r, API_alter_configs, 2, &request);
	assert_int_equal(m->responses.v[0].error_code, ERR_NONE);
	assert_value(r, "retention.ms", "5000");
	request.validate_only = false;
	m = rig_ask(r, API_alter_configs, 2, &request);
	assert_int_equal(m->responses.v[0].error_code, ERR_NONE);
	assert_value(r, "max.message.bytes", "2000");
	assert_value(r, "retention.ms", "604800000");
}

static void the_level_of_the_log_can_be_changed(void **state)
{
	struct rig *r = *state;
	enum log_level before = log_get_level();

	assert_int_equal(change(r, LOGGER, "7", "root", SET, "ERROR", false), ERR_NONE);
	enum log_level during = log_get_level();
	const struct describe_configs_response_result *m = describe(r, 4, LOGGER, "7", NULL, -1);
	struct describe_configs_response_config told = *find(m, "root");
	bool is_error = slice_equal(told.value, slice_str("ERROR"));
	enum ks_err loud = change(r, LOGGER, "7", "root", SET, "LOUD", false);
	enum ks_err gone = change(r, LOGGER, "7", "root", DELETE, NULL, false);
	enum ks_err other = change(r, LOGGER, "7", "kafka.server", SET, "INFO", false);
	log_set_level(before);
	assert_int_equal(during, LOG_ERROR);
	assert_true(is_error);
	assert_int_equal(told.config_source, 6);
	assert_int_equal(loud, ERR_INVALID_CONFIG);
	assert_int_equal(gone, ERR_INVALID_REQUEST);
	assert_int_equal(other, ERR_INVALID_CONFIG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_topics_configuration_has_values_sources_and_types),
		TEST(only_the_keys_that_are_asked_for_are_told),
		TEST(what_has_no_configuration_is_refused),
		TEST(a_resource_that_is_named_twice_is_told_once),
		TEST(the_brokers_configuration_is_what_it_was_started_with),
		TEST(values_are_set_deleted_appended_and_subtracted),
		TEST(a_change_that_is_only_checked_changes_nothing),
		TEST(impossible_changes_are_refused),
		TEST(a_brokers_configuration_is_what_it_was_started_with),
		TEST(alter_configs_sets_these_and_no_others),
		TEST(the_level_of_the_log_can_be_changed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

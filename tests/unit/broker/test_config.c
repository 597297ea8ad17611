/* Configurations: values as Kafka takes them, where they come from, changes of lists. */
#include "rig.h"

static enum ks_err set(struct rig *r, const char *key, const char *value, struct ks_why *why)
{
	return broker_topic_alter(r->b, "t", &(struct config_entry){key, value}, 1, why);
}

static enum ks_err change(struct rig *r, const char *key, enum config_op op, const char *value,
			  struct ks_why *why)
{
	struct config_change c = {key, value, op};
	return broker_topic_change_configs(r->b, "t", &c, 1, false, why);
}

static const struct topic_config_row *find(const struct topic_config_row *rows, size_t count,
					   const char *key)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].key, key) == 0)
			return &rows[i];
	fail_msg("no row %s", key);
	return NULL;
}

#define assert_value(r, name, expected)                                                            \
	do {                                                                                       \
		size_t n_;                                                                         \
		struct topic_config_row *rows_ =                                                   \
			topic_configs(broker_topic_find((r)->b, "t"), &n_);                        \
		assert_string_equal(find(rows_, n_, name)->value, expected);                       \
		free(rows_);                                                                       \
	} while (0)

static void values_are_taken_as_kafka_takes_them(void **state)
{
	struct rig *r = *state;
	struct ks_why said;

	rig_topic(r, "t", 1);
	assert_int_equal(set(r, "preallocate", "TRUE", &said), 0);
	assert_int_equal(set(r, "retention.ms", "  60000 ", &said), 0);
	assert_value(r, "retention.ms", "60000");
	assert_int_equal(set(r, "retention.ms", "6 0", &said), ERR_INVALID_CONFIG);
	assert_int_equal(set(r, "cleanup.policy", "compact, delete", &said), 0);
	assert_int_equal(set(r, "compression.zstd.level", "-131072", &said), 0);
	assert_int_equal(set(r, "compression.zstd.level", "23", &said), ERR_INVALID_CONFIG);
	assert_int_equal(set(r, "compression.type", "rar", &said), ERR_INVALID_CONFIG);
	assert_string_equal(said.text, "compression.type = \"rar\": want one of: producer "
				       "uncompressed none gzip snappy lz4 zstd");
	assert_int_equal(set(r, "segment.bytes", "13", &said), ERR_INVALID_CONFIG);
	assert_int_equal(set(r, "leader.replication.throttled.replicas", "*", &said), 0);
	assert_int_equal(set(r, "leader.replication.throttled.replicas", "0:1,12:34", &said), 0);
	assert_int_equal(set(r, "leader.replication.throttled.replicas", "0:1,x", &said),
			 ERR_INVALID_CONFIG);
	assert_int_equal(set(r, "leader.replication.throttled.replicas", "0:", &said),
			 ERR_INVALID_CONFIG);
	assert_int_equal(set(r, "remote.storage.enable", "true", &said), ERR_INVALID_CONFIG);
}

static void a_value_as_long_as_allowed_outlives_a_restart(void **state)
{
	struct rig *r = *state;
	char list[CONFIG_VALUE_MAX + 2];
	struct ks_why said;

	for (size_t i = 0; i <= CONFIG_VALUE_MAX; i++)
		list[i] = "1:2,"[i % 4];
	list[CONFIG_VALUE_MAX + 1] = 0;
	rig_topic(r, "t", 1);
	assert_int_equal(set(r, "leader.replication.throttled.replicas", list, &said),
			 ERR_INVALID_CONFIG);
	list[CONFIG_VALUE_MAX] = 0;
	assert_int_equal(set(r, "leader.replication.throttled.replicas", list, &said), 0);
	rig_reopen(r);
	assert_value(r, "leader.replication.throttled.replicas", list);
}

static void lags_that_contradict_each_other_are_refused(void **state)
{
	struct rig *r = *state;
	struct config_entry both[] = {{"min.compaction.lag.ms", "20"},
				      {"max.compaction.lag.ms", "10"}};
	struct ks_why said;

	rig_topic(r, "t", 1);
	assert_int_equal(broker_topic_alter(r->b, "t", both, 2, &said), ERR_INVALID_CONFIG);
	assert_string_equal(said.text,
			    "min.compaction.lag.ms = 20 is over max.compaction.lag.ms = 10");
	assert_int_equal(set(r, "max.compaction.lag.ms", "10", &said), 0);
	assert_int_equal(set(r, "min.compaction.lag.ms", "11", &said), ERR_INVALID_CONFIG);
	assert_value(r, "min.compaction.lag.ms", "0");
	assert_int_equal(set(r, "min.compaction.lag.ms", "10", &said), 0);
}

static void lists_are_appended_to_and_subtracted_from(void **state)
{
	struct rig *r = *state;
	struct ks_why said;

	rig_topic(r, "t", 1);
	assert_false(topic_wants_keys(broker_topic_find(r->b, "t")));
	assert_int_equal(change(r, "cleanup.policy", CONFIG_APPEND, "compact", &said), 0);
	assert_value(r, "cleanup.policy", "delete,compact"); /* to the default */
	assert_true(topic_wants_keys(broker_topic_find(r->b, "t")));
	assert_int_equal(change(r, "cleanup.policy", CONFIG_APPEND, "compact,delete", &said), 0);
	assert_value(r, "cleanup.policy", "delete,compact");
	assert_int_equal(change(r, "cleanup.policy", CONFIG_SUBTRACT, "delete", &said), 0);
	assert_value(r, "cleanup.policy", "compact");
	assert_int_equal(change(r, "cleanup.policy", CONFIG_SUBTRACT, "compact", &said),
			 ERR_INVALID_CONFIG); /* nothing would be left */
	assert_int_equal(change(r, "cleanup.policy", CONFIG_DELETE, NULL, &said), 0);
	assert_value(r, "cleanup.policy", "delete");
	assert_int_equal(change(r, "cleanup.policy", CONFIG_APPEND, "shred", &said),
			 ERR_INVALID_CONFIG);

	assert_int_equal(change(r, "retention.ms", CONFIG_APPEND, "5", &said), ERR_INVALID_CONFIG);
	assert_string_equal(said.text,
			    "retention.ms is no list: nothing can be appended or subtracted");
	assert_int_equal(change(r, "retention.ms", CONFIG_SET, NULL, &said), ERR_INVALID_REQUEST);
	assert_int_equal(change(r, "retention.ms", (enum config_op)4, "5", &said),
			 ERR_INVALID_REQUEST);
	assert_int_equal(change(r, "retention.mss", CONFIG_DELETE, NULL, &said),
			 ERR_INVALID_CONFIG);
}

static void changes_are_carried_out_together_or_only_checked(void **state)
{
	struct rig *r = *state;
	struct config_change good[] = {{"retention.ms", "5", CONFIG_SET},
				       {"cleanup.policy", "compact", CONFIG_APPEND}};
	struct config_change bad[] = {{"retention.ms", "6", CONFIG_SET},
				      {"retention.bytes", "six", CONFIG_SET}};
	struct config_change twice[] = {{"retention.ms", "6", CONFIG_SET},
					{"retention.ms", NULL, CONFIG_DELETE}};
	struct ks_why said;

	rig_topic(r, "t", 1);
	assert_int_equal(broker_topic_change_configs(r->b, "t", good, 2, true, &said), 0);
	assert_value(r, "retention.ms", "604800000");
	assert_int_equal(broker_topic_change_configs(r->b, "t", good, 2, false, &said), 0);
	assert_value(r, "retention.ms", "5");
	assert_value(r, "cleanup.policy", "delete,compact");
	assert_int_equal(broker_topic_change_configs(r->b, "t", bad, 2, true, &said),
			 ERR_INVALID_CONFIG);
	assert_int_equal(broker_topic_change_configs(r->b, "t", bad, 2, false, &said),
			 ERR_INVALID_CONFIG);
	assert_int_equal(broker_topic_change_configs(r->b, "t", twice, 2, false, &said),
			 ERR_INVALID_REQUEST);
	assert_string_equal(said.text, "retention.ms is there twice");
	assert_value(r, "retention.ms", "5");
	assert_int_equal(broker_topic_change_configs(r->b, "u", good, 2, false, &said),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void replacing_takes_back_what_is_not_named(void **state)
{
	struct rig *r = *state;
	struct config_entry some[] = {{"retention.ms", "5"}, {"retention.bytes", "6"}};
	struct ks_why said;

	rig_topic(r, "t", 1);
	assert_int_equal(broker_topic_replace_configs(r->b, "t", some, 2, false, &said), 0);
	assert_int_equal(broker_topic_replace_configs(r->b, "t", &some[1], 1, true, &said), 0);
	assert_value(r, "retention.ms", "5");
	assert_int_equal(broker_topic_replace_configs(r->b, "t", &some[1], 1, false, &said), 0);
	assert_value(r, "retention.ms", "604800000");
	assert_value(r, "retention.bytes", "6");
}

static void a_row_tells_type_source_and_synonyms(void **state)
{
	struct rig *r = *state;
	size_t count;

	rig_topic_with(r, "t", 1, "retention.ms", "5");
	struct topic_config_row *rows = topic_configs(broker_topic_find(r->b, "t"), &count);
	for (size_t i = 1; i < count; i++)
		assert_true(strcmp(rows[i - 1].key, rows[i].key) < 0);
	const struct topic_config_row *row = find(rows, count, "retention.ms");
	assert_int_equal(row->type, 5); /* LONG */
	assert_int_equal(row->source, 1);
	assert_false(row->is_default || row->is_read_only || row->is_sensitive);
	assert_int_equal(row->synonym_count, 2);
	assert_string_equal(row->synonyms[0].key, "retention.ms");
	assert_string_equal(row->synonyms[0].value, "5");
	assert_string_equal(row->synonyms[1].key, "log.retention.hours");
	assert_string_equal(row->synonyms[1].value, "168");
	assert_int_equal(row->synonyms[1].source, 5);

	row = find(rows, count, "segment.ms");
	assert_int_equal(row->source, 5);
	assert_true(row->is_default);
	assert_string_equal(row->value, "604800000");
	assert_int_equal(row->synonym_count, 1);
	assert_string_equal(row->synonyms[0].key, "log.roll.hours");
	assert_int_equal(find(rows, count, "cleanup.policy")->type, 7);
	assert_int_equal(find(rows, count, "preallocate")->type, 1);
	assert_int_equal(find(rows, count, "segment.bytes")->type, 3);
	assert_int_equal(find(rows, count, "min.cleanable.dirty.ratio")->type, 6);
	assert_int_equal(find(rows, count, "compression.type")->type, 2);
	assert_int_equal(find(rows, count, "follower.replication.throttled.replicas")->type, 7);
	assert_int_equal(
		find(rows, count, "follower.replication.throttled.replicas")->synonym_count, 0);
	free(rows);
}

static void a_brokers_defaults_reach_topics_that_say_nothing(void **state)
{
	struct rig *r = *state;
	struct config_entry defaults[] = {{"log.retention.hours", "2"},
					  {"log.retention.minutes", "90"},
					  {"log.roll.hours", "1"},
					  {"log.cleanup.policy", "compact"},
					  {"message.max.bytes", "5000"}};
	size_t count;

	rig_topic_with(r, "own", 1, "max.message.bytes", "77");
	broker_close(r->b);
	r->options.topic_defaults = defaults;
	r->options.topic_default_count = 5;
	rig_open(r);
	struct topic *t = rig_topic(r, "t", 1);
	assert_value(r, "retention.ms", "5400000"); /* minutes go before hours */
	assert_value(r, "segment.ms", "3600000");
	assert_true(topic_wants_keys(t));
	assert_int_equal(topic_max_message_bytes(t), 5000);
	assert_int_equal(topic_max_message_bytes(broker_topic_find(r->b, "own")), 77);

	struct topic_config_row *rows = topic_configs(t, &count);
	const struct topic_config_row *row = find(rows, count, "retention.ms");
	assert_int_equal(row->source, 4);
	assert_true(row->is_default);
	assert_int_equal(row->synonym_count, 3);
	assert_string_equal(row->synonyms[0].key, "log.retention.minutes");
	assert_string_equal(row->synonyms[0].value, "90");
	assert_string_equal(row->synonyms[1].key, "log.retention.hours");
	assert_string_equal(row->synonyms[1].value, "2");
	assert_int_equal(row->synonyms[1].source, 4);
	assert_string_equal(row->synonyms[2].value, "168");
	free(rows);

	/* A default is not written down as if it had been set. */
	broker_close(r->b);
	r->options.topic_default_count = 0;
	rig_open(r);
	assert_value(r, "retention.ms", "604800000");
	assert_false(topic_wants_keys(broker_topic_find(r->b, "t")));
}

static void the_brokers_own_names_are_told(void **state)
{
	struct rig *r = *state;
	struct config_entry defaults[] = {{"log.retention.hours", "2"}};
	size_t count;

	broker_close(r->b);
	r->options.topic_defaults = defaults;
	r->options.topic_default_count = 1;
	rig_open(r);
	struct topic_config_row *rows = broker_configs(r->b, &count);
	const struct topic_config_row *row = find(rows, count, "log.retention.hours");
	assert_string_equal(row->value, "2");
	assert_int_equal(row->source, 4);
	assert_int_equal(row->type, 3);
	assert_int_equal(row->synonym_count, 2);
	row = find(rows, count, "log.retention.ms");
	assert_null(row->value);
	assert_int_equal(row->type, 5);
	row = find(rows, count, "log.roll.hours");
	assert_string_equal(row->value, "168");
	assert_int_equal(row->source, 5);
	assert_true(row->is_default);
	row = find(rows, count, "message.max.bytes");
	assert_string_equal(row->value, "1048588");
	free(rows);
}

static void a_brokers_default_is_checked(void **state)
{
	struct ks_why said;

	(void)state;
#define check(key, value) broker_default_check(&(struct config_entry){key, value}, &said)
	assert_int_equal(check("log.retention.hours", " 5 "), 0);
	assert_int_equal(check("log.retention.hours", "-1"), 0);
	assert_int_equal(check("log.retention.hours", "a while"), ERR_INVALID_CONFIG);
	assert_int_equal(check("log.retention.hours", "2147483648"), ERR_INVALID_CONFIG);
	assert_int_equal(check("log.roll.hours", "0"), ERR_INVALID_CONFIG);
	assert_int_equal(check("log.cleanup.policy", "shred"), ERR_INVALID_CONFIG);
	assert_string_equal(said.text, "log.cleanup.policy = \"shred\": want a list, with commas "
				       "between, of: delete compact");
	assert_int_equal(check("retention.ms", "5"), ERR_NOT_FOUND);
	assert_int_equal(check("listeners", "5"), ERR_NOT_FOUND);
#undef check
}

static void a_broker_with_an_impossible_default_does_not_open(void **state)
{
	struct rig *r = *state;
	struct config_entry wrong = {"log.segment.bytes", "3"};
	struct ks_why said = {""};
	struct broker *b = NULL;

	r->options.topic_defaults = &wrong;
	r->options.topic_default_count = 1;
	assert_int_equal(broker_open(&r->options, &b, &said), ERR_INVALID_CONFIG);
	assert_null(b);
}

static void what_a_spec_would_give_is_told_before_it_is_made(void **state)
{
	struct rig *r = *state;
	struct config_entry config = {"retention.ms", "5"}, wrong = {"retention.ms", "x"};
	struct topic_spec spec = {.name = "t", .configs = &config, .config_count = 1};
	struct topic_config_row *rows = NULL;
	struct ks_why said;
	size_t count;

	assert_int_equal(broker_spec_configs(r->b, &spec, &rows, &count, &said), 0);
	assert_string_equal(find(rows, count, "retention.ms")->value, "5");
	assert_null(broker_topic_find(r->b, "t"));
	free(rows);
	spec.configs = &wrong;
	assert_int_equal(broker_spec_configs(r->b, &spec, &rows, &count, &said),
			 ERR_INVALID_CONFIG);
}

static void the_old_name_of_a_limit_counts_where_the_new_one_is_silent(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic_with(r, "t", 1, "message.timestamp.difference.max.ms", "5");
	struct ks_why said;

	assert_int_equal(topic_timestamp_before_max_ms(t), 5);
	assert_int_equal(topic_timestamp_after_max_ms(t), INT64_MAX);
	assert_int_equal(set(r, "message.timestamp.before.max.ms", "7", &said), 0);
	assert_int_equal(topic_timestamp_before_max_ms(t), 7);
	assert_int_equal(set(r, "message.timestamp.after.max.ms", "8", &said), 0);
	assert_int_equal(topic_timestamp_after_max_ms(t), 8);
	assert_int_equal(topic_timestamp_type(t), BATCH_CREATE_TIME);
	assert_int_equal(set(r, "message.timestamp.type", "LogAppendTime", &said), 0);
	assert_int_equal(topic_timestamp_type(t), BATCH_LOG_APPEND_TIME);
	assert_int_equal(set(r, "min.insync.replicas", "2", &said), 0);
	assert_int_equal(topic_min_insync_replicas(t), 2);
}

static bool is_told(struct topic *t, const char *key)
{
	size_t count;
	struct topic_config_row *rows = topic_configs(t, &count);
	bool found = false;

	for (size_t i = 0; i < count; i++)
		found = found || strcmp(rows[i].key, key) == 0;
	free(rows);
	return found;
}

static void keys_of_older_kafkas_are_told_only_where_they_are_set(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 1);
	struct ks_why said;

	assert_true(is_told(t, "message.timestamp.type"));
	assert_false(is_told(t, "message.downconversion.enable"));
	assert_false(is_told(t, "message.format.version"));
	assert_false(is_told(t, "message.timestamp.difference.max.ms"));
	assert_int_equal(set(r, "message.format.version", "0.10.0.0", &said), 0);
	assert_true(is_told(t, "message.format.version"));
	assert_false(is_told(t, "message.downconversion.enable"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY(values_are_taken_as_kafka_takes_them),
		ROCKS(a_value_as_long_as_allowed_outlives_a_restart),
		MEMORY(lags_that_contradict_each_other_are_refused),
		MEMORY(lists_are_appended_to_and_subtracted_from),
		MEMORY(changes_are_carried_out_together_or_only_checked),
		MEMORY(replacing_takes_back_what_is_not_named),
		MEMORY(a_row_tells_type_source_and_synonyms),
		ROCKS(a_brokers_defaults_reach_topics_that_say_nothing),
		MEMORY(the_brokers_own_names_are_told),
		MEMORY(a_brokers_default_is_checked),
		MEMORY(a_broker_with_an_impossible_default_does_not_open),
		MEMORY(what_a_spec_would_give_is_told_before_it_is_made),
		MEMORY(the_old_name_of_a_limit_counts_where_the_new_one_is_silent),
		MEMORY(keys_of_older_kafkas_are_told_only_where_they_are_set),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

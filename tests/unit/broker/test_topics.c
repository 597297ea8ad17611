/* Topics: names, numbers, configurations, deletion. */
#include "rig.h"

static enum ks_err create(struct rig *r, const char *name, int32_t partitions, const char *key,
			  const char *value, struct ks_why *why)
{
	struct config_entry config = {key, value};
	struct topic_spec spec = {.name = name, .partitions = partitions};

	if (key) {
		spec.configs = &config;
		spec.config_count = 1;
	}
	enum ks_err valid = broker_topic_validate(r->b, &spec, why);
	enum ks_err err = broker_topic_create(r->b, &spec, why);
	assert_int_equal(valid, err);
	return err;
}

static void names_are_checked(void **state)
{
	struct rig *r = *state;
	struct ks_why why;
	char longest[BROKER_TOPIC_NAME_MAX + 2];

	assert_int_equal(create(r, "", 1, NULL, NULL, &why), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(r, ".", 1, NULL, NULL, &why), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(r, "..", 1, NULL, NULL, &why), ERR_INVALID_TOPIC_EXCEPTION);
	assert_int_equal(create(r, "a/b", 1, NULL, NULL, &why), ERR_INVALID_TOPIC_EXCEPTION);
	assert_string_equal(why.text,
			    "topic \"a/b\": only letters, digits, '.', '_' and '-' are allowed "
			    "in a name");
	memset(longest, 'x', sizeof longest);
	longest[sizeof longest - 1] = 0;
	assert_int_equal(create(r, longest, 1, NULL, NULL, &why), ERR_INVALID_TOPIC_EXCEPTION);
	longest[sizeof longest - 2] = 0;
	assert_int_equal(create(r, longest, 1, NULL, NULL, &why), 0);
	assert_int_equal(create(r, "A-z_0.9", 1, NULL, NULL, &why), 0);
}

static void a_topic_is_made_once(void **state)
{
	struct rig *r = *state;
	struct ks_why why;

	assert_int_equal(create(r, "t", 3, NULL, NULL, &why), 0);
	assert_int_equal(create(r, "t", 3, NULL, NULL, &why), ERR_TOPIC_ALREADY_EXISTS);
	assert_int_equal(topic_partition_count(broker_topic_find(r->b, "t")), 3);
	assert_int_equal(create(r, "u", 0, NULL, NULL, &why), 0);
	assert_int_equal(topic_partition_count(broker_topic_find(r->b, "u")), 1);
	assert_int_equal(create(r, "v", BROKER_PARTITIONS_MAX + 1, NULL, NULL, &why),
			 ERR_INVALID_PARTITIONS);
	assert_int_equal(create(r, "v", BROKER_PARTITIONS_MAX - 3, NULL, NULL, &why),
			 ERR_INVALID_PARTITIONS);
}

static const char *config_of(struct rig *r, const char *topic, const char *key, bool *is_default)
{
	static char value[64];
	size_t count;
	struct topic_config_row *rows = topic_configs(broker_topic_find(r->b, topic), &count);

	value[0] = 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].key, key) == 0) {
			memcpy(value, rows[i].value, sizeof value);
			*is_default = rows[i].is_default;
		}
	free(rows);
	return value;
}

static void configurations_have_kafkas_names_and_defaults(void **state)
{
	struct rig *r = *state;
	bool is_default;

	rig_topic_with(r, "t", 1, "cleanup.policy", "compact,delete");
	assert_string_equal(config_of(r, "t", "cleanup.policy", &is_default), "compact,delete");
	assert_false(is_default);
	assert_string_equal(config_of(r, "t", "retention.ms", &is_default), "604800000");
	assert_true(is_default);
	assert_string_equal(config_of(r, "t", "max.message.bytes", &is_default), "1048588");
	assert_string_equal(config_of(r, "t", "retention.bytes", &is_default), "-1");
	assert_string_equal(config_of(r, "t", "message.timestamp.type", &is_default), "CreateTime");
	assert_string_equal(config_of(r, "t", "min.insync.replicas", &is_default), "1");
}

static void a_wrong_configuration_is_explained(void **state)
{
	struct rig *r = *state;
	struct ks_why why;

	assert_int_equal(create(r, "t", 1, "retention.mss", "5", &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text,
			    "there is no topic configuration \"retention.mss\" (= \"5\"); did "
			    "you mean \"retention.ms\"?");
	assert_int_equal(create(r, "t", 1, "frobnicate", "5", &why), ERR_INVALID_CONFIG);
	assert_string_equal(why.text, "there is no topic configuration \"frobnicate\" (= \"5\")");
	assert_int_equal(create(r, "t", 1, "retention.ms", "soon", &why), ERR_INVALID_CONFIG);
	assert_string_equal(
		why.text,
		"retention.ms = \"soon\": want a whole number from -1 to 9223372036854775807");
	assert_int_equal(create(r, "t", 1, "max.message.bytes", "2147483648", &why),
			 ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "retention.ms", "-2", &why), ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "retention.ms", "", &why), ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "cleanup.policy", "delete,shred", &why),
			 ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "cleanup.policy", "", &why), ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "message.timestamp.type", "now", &why),
			 ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "preallocate", "yes", &why), ERR_INVALID_CONFIG);
	assert_int_equal(create(r, "t", 1, "min.cleanable.dirty.ratio", "1.5", &why),
			 ERR_INVALID_CONFIG);
	assert_null(broker_topic_find(r->b, "t"));
	assert_int_equal(create(r, "t", 1, "min.cleanable.dirty.ratio", "0.25", &why), 0);
}

static void altering_changes_all_or_nothing(void **state)
{
	struct rig *r = *state;
	struct config_entry good[] = {{"retention.ms", "99"}, {"retention.bytes", "1000"}};
	struct config_entry bad[] = {{"retention.ms", "77"}, {"retention.bytes", "much"}};
	struct config_entry back[] = {{"retention.ms", NULL}};
	bool is_default;

	rig_topic(r, "t", 1);
	assert_ok(broker_topic_alter(r->b, "t", good, 2, why));
	assert_string_equal(config_of(r, "t", "retention.ms", &is_default), "99");
	assert_int_equal(broker_topic_alter(r->b, "t", bad, 2, NULL), ERR_INVALID_CONFIG);
	assert_string_equal(config_of(r, "t", "retention.ms", &is_default), "99");
	assert_ok(broker_topic_alter(r->b, "t", back, 1, why));
	assert_string_equal(config_of(r, "t", "retention.ms", &is_default), "604800000");
	assert_true(is_default);
	assert_string_equal(config_of(r, "t", "retention.bytes", &is_default), "1000");
	assert_int_equal(broker_topic_alter(r->b, "tt", good, 2, NULL),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static size_t keys_in(struct rig *r, enum store_cf cf)
{
	struct store_iter *it = store_iter_new(broker_store(r->b), cf, SLICE_NULL, SLICE_NULL);
	size_t count = 0;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it))
		count++;
	store_iter_free(it);
	return count;
}

static void a_deleted_topic_leaves_nothing_behind(void **state)
{
	struct rig *r = *state;
	struct partition *kept = topic_partition(rig_topic(r, "kept", 1), 0);
	struct topic *t = rig_topic(r, "t", 2);
	struct partition *p = topic_partition(t, 1);
	struct group_offset offsets[] = {{p, 1, 0}, {kept, 1, 0}};
	struct reader *reader = reader_new(p);
	struct waiter *w = waiter_new();
	struct chunk c;
	size_t count;
	int64_t start;

	for (int i = 0; i < 20; i++)
		assert_ok(broker_append_wait(r->b, p, rig_frame(1, i, 10000, START_MS), ACKS_ALL,
					     NULL, why));
	assert_ok(broker_trim(r->b, p, 3, &start, why));
	rig_append(r, kept, 1, 0);
	assert_ok(broker_group_commit(r->b, "only", offsets, 1, why));
	assert_ok(broker_group_commit(r->b, "both", offsets, 2, why));
	waiter_watch(w, p);
	uint64_t ticket = waiter_ticket(w);

	assert_ok(broker_topic_delete(r->b, "t", why));
	waiter_wait(w, ticket, 60000); /* told */
	assert_null(broker_topic_find(r->b, "t"));
	assert_int_equal(keys_in(r, CF_LOG), 1);
	assert_int_equal(keys_in(r, CF_INDEX), 0);
	assert_int_equal(keys_in(r, CF_TOPICS), 1);
	assert_int_equal(keys_in(r, CF_OFFSETS), 1);
	char **groups = broker_groups(r->b, &count);
	assert_int_equal(count, 1);
	assert_string_equal(groups[0], "both");
	free(groups[0]);
	free(groups);

	/* The old handles answer. */
	struct ks_why why;
	assert_int_equal(reader_read(reader, 5, 1, &c, &why), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_string_equal(why.text, "topic \"t\" was deleted");
	assert_int_equal(broker_append_wait(r->b, p, rig_frame(1, 0, 0, 0), ACKS_ALL, NULL, NULL),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(broker_group_commit(r->b, "g", offsets, 1, NULL),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(broker_trim(r->b, p, -1, &start, NULL), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(broker_topic_delete(r->b, "t", NULL), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	reader_free(reader);
	waiter_free(w);

	/* A new one of the same name is another topic. */
	struct topic *again = rig_topic(r, "t", 2);
	assert_true(again != t);
	assert_int_equal(partition_high_watermark(topic_partition(again, 1)), 0);
}

static void topics_are_listed_by_name_and_suggested(void **state)
{
	struct rig *r = *state;
	size_t count;
	struct ks_why why;

	rig_topic(r, "orders", 1);
	rig_topic(r, "customers", 1);
	rig_topic(r, "payments", 1);
	struct topic **all = broker_topics(r->b, &count);
	assert_int_equal(count, 3);
	assert_string_equal(topic_name(all[0]), "customers");
	assert_string_equal(topic_name(all[2]), "payments");
	free(all);
	char *near = broker_topic_suggest(r->b, "ordres");
	assert_string_equal(near, "orders");
	free(near);
	assert_null(broker_topic_suggest(r->b, "elephants"));
	assert_int_equal(broker_topic_delete(r->b, "payment", &why),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_string_equal(why.text, "there is no topic \"payment\"; did you mean \"payments\"?");
}

static void topics_are_made_by_themselves_only_where_allowed(void **state)
{
	struct rig *r = *state;
	struct ks_why why;

	assert_null(broker_topic_find_or_create(r->b, "t", &why));
	broker_close(r->b);
	r->options.auto_create_topics = true;
	r->options.default_partitions = 5;
	rig_open(r);
	struct topic *t = broker_topic_find_or_create(r->b, "t", &why);
	assert_int_equal(topic_partition_count(t), 5);
	assert_ptr_equal(broker_topic_find_or_create(r->b, "t", &why), t);
	assert_null(broker_topic_find_or_create(r->b, "no good", &why));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		MEMORY(names_are_checked),
		MEMORY(a_topic_is_made_once),
		MEMORY(configurations_have_kafkas_names_and_defaults),
		MEMORY(a_wrong_configuration_is_explained),
		BOTH(altering_changes_all_or_nothing),
		BOTH(a_deleted_topic_leaves_nothing_behind),
		MEMORY(topics_are_listed_by_name_and_suggested),
		BOTH(topics_are_made_by_themselves_only_where_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

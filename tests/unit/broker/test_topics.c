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
	static char value[1024];
	size_t count;
	struct topic_config_row *rows = topic_configs(broker_topic_find(r->b, topic), &count);

	value[0] = 0;
	for (size_t i = 0; i < count; i++)
		if (strcmp(rows[i].key, key) == 0) {
			snprintf(value, sizeof value, "%s", rows[i].value);
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

static void a_topic_is_found_by_its_uuid(void **state)
{
	struct rig *r = *state;
	struct topic_uuid first = topic_uuid(rig_topic(r, "t", 1)), nobody = {{1}};
	struct topic_uuid other = topic_uuid(rig_topic(r, "u", 1));

	assert_int_equal(first.bytes[6] >> 4, 4); /* version 4 */
	assert_int_equal(first.bytes[8] >> 6, 2);
	assert_memory_not_equal(&first, &other, sizeof first);
	assert_ptr_equal(broker_topic_find_uuid(r->b, &first), broker_topic_find(r->b, "t"));
	assert_ptr_equal(broker_topic_find_uuid(r->b, &other), broker_topic_find(r->b, "u"));
	assert_null(broker_topic_find_uuid(r->b, &nobody));

	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_null(broker_topic_find_uuid(r->b, &first));
	struct topic_uuid again = topic_uuid(rig_topic(r, "t", 1));
	assert_memory_not_equal(&first, &again, sizeof first);
}

static void uuids_outlive_a_restart(void **state)
{
	struct rig *r = *state;
	struct topic_uuid uuid = topic_uuid(rig_topic(r, "t", 1));

	assert_ok(
		broker_topic_alter(r->b, "t", &(struct config_entry){"retention.ms", "9"}, 1, why));
	rig_reopen(r);
	assert_ptr_equal(broker_topic_find_uuid(r->b, &uuid), broker_topic_find(r->b, "t"));
}

/* The record of topic 0 as the first version wrote it: 2 partitions from 0 on, retention.ms = 9. */
static void put_old_record(struct rig *r)
{
	static const uint8_t old[] = "\1\0\0\0\0\0\0\0\0\14\0\0\0\0\0\0\0\2\0\1t"
				     "\0\1\0\14retention.ms\0\1"
				     "9";
	struct store_write *w = store_write_new(broker_store(r->b));
	struct key_id key = key_topic(0);

	store_put(w, CF_TOPICS, KEY_SLICE(key), slice_of(old, sizeof old - 1));
	assert_ok(store_commit(broker_store(r->b), w, true, why));
	store_write_free(w);
}

static void a_topic_from_before_uuids_gets_one_and_keeps_it(void **state)
{
	struct rig *r = *state;
	bool is_default;

	rig_topic_with(r, "t", 2, "retention.ms", "9");
	rig_append(r, rig_partition(r, "t"), 1, 5);
	put_old_record(r);
	rig_reopen(r);
	struct topic_uuid uuid = topic_uuid(broker_topic_find(r->b, "t"));
	assert_int_equal(uuid.bytes[6] >> 4, 4);
	rig_reopen(r);
	struct topic *t = broker_topic_find_uuid(r->b, &uuid);
	assert_non_null(t);
	assert_int_equal(topic_partition_count(t), 2);
	assert_int_equal(rig_number_at(topic_partition(t, 0), 0), 5);
	assert_string_equal(config_of(r, "t", "retention.ms", &is_default), "9");
}

static void partitions_are_added_behind_those_that_are_there(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 2);
	struct partition *first = topic_partition(t, 0);
	struct ks_why said;

	rig_topic(r, "u", 3); /* takes the numbers behind t's */
	rig_append(r, first, 1, 10);
	assert_int_equal(broker_topic_check_partitions(r->b, "t", 5, &said), 0);
	assert_int_equal(topic_partition_count(t), 2);
	for (int32_t n = 3; n <= 9; n += 2)
		assert_ok(broker_topic_add_partitions(r->b, "t", n, why));
	assert_int_equal(topic_partition_count(t), 9);
	assert_ptr_equal(topic_partition(t, 0), first);
	for (int32_t i = 0; i < 9; i++) {
		struct partition *p = topic_partition(t, i);
		assert_int_equal(partition_index(p), i);
		assert_ptr_equal(topics_partition(&r->b->topics, p->id), p);
		if (i)
			assert_int_equal(rig_append(r, p, 1, 10 + i), 0);
	}
	for (int32_t i = 0; i < 9; i++)
		assert_int_equal(rig_number_at(topic_partition(t, i), 0), 10 + i);

	assert_int_equal(broker_topic_add_partitions(r->b, "t", 9, &said), ERR_INVALID_PARTITIONS);
	assert_string_equal(said.text, "topic \"t\" has 9 partitions already, and 9 are not more");
	assert_int_equal(broker_topic_add_partitions(r->b, "t", -1, &said), ERR_INVALID_PARTITIONS);
	assert_int_equal(broker_topic_add_partitions(r->b, "t", BROKER_PARTITIONS_MAX - 2, &said),
			 ERR_INVALID_PARTITIONS);
	assert_string_equal(said.text, "topic \"t\": with 99998 partitions of it there would be "
				       "100001, over the limit of 100000");
	assert_int_equal(broker_topic_check_partitions(r->b, "tt", 9, &said),
			 ERR_UNKNOWN_TOPIC_OR_PARTITION);
}

static void added_partitions_outlive_a_restart(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "t", 1);
	for (int32_t n = 2; n <= 5; n++) {
		char other[2] = {(char)('a' + n), 0};
		rig_topic(r, other, 1);
		assert_ok(broker_topic_add_partitions(r->b, "t", n, why));
	}
	for (int32_t i = 0; i < 5; i++)
		rig_append(r, topic_partition(broker_topic_find(r->b, "t"), i), 1, 10 + i);
	rig_reopen(r);
	struct topic *t = broker_topic_find(r->b, "t");
	assert_int_equal(topic_partition_count(t), 5);
	for (int32_t i = 0; i < 5; i++) {
		struct partition *p = topic_partition(t, i);
		assert_int_equal(rig_number_at(p, 0), 10 + i);
		assert_ptr_equal(topics_partition(&r->b->topics, p->id), p);
	}
	/* Numbers go on where they were. */
	assert_int_equal(topic_partition(rig_topic(r, "z", 1), 0)->id, 9);

	assert_ok(broker_topic_delete(r->b, "t", why));
	assert_int_equal(keys_in(r, CF_LOG), 0);
	rig_reopen(r);
	assert_null(broker_topic_find(r->b, "t"));
	assert_non_null(broker_topic_find(r->b, "d"));
}

static void *watch_growth(void *arg)
{
	struct topic *t = arg;
	int32_t seen = 0;

	while (seen < 40) {
		seen = topic_partition_count(t);
		for (int32_t i = 0; i < seen; i++)
			assert_int_equal(partition_index(topic_partition(t, i)), i);
	}
	return NULL;
}

static void readers_may_look_while_a_topic_grows(void **state)
{
	struct rig *r = *state;
	struct topic *t = rig_topic(r, "t", 1);
	pthread_t watcher;

	assert_int_equal(pthread_create(&watcher, NULL, watch_growth, t), 0);
	for (int32_t n = 2; n <= 40; n++)
		assert_ok(broker_topic_add_partitions(r->b, "t", n, why));
	pthread_join(watcher, NULL);
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
		MEMORY(a_topic_is_found_by_its_uuid),
		ROCKS(uuids_outlive_a_restart),
		ROCKS(a_topic_from_before_uuids_gets_one_and_keeps_it),
		BOTH(partitions_are_added_behind_those_that_are_there),
		ROCKS(added_partitions_outlive_a_restart),
		MEMORY(readers_may_look_while_a_topic_grows),
		MEMORY(topics_are_listed_by_name_and_suggested),
		BOTH(topics_are_made_by_themselves_only_where_allowed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

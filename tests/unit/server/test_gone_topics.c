/* What a connection that deleted a topic still sees of it, for how long, and that nobody else does. */
#include "server/gone_topics.h"
#include "admin_rig.h"

#define NOW 5000

static const struct wire_uuid no_id;

static struct topic *make(struct rig *r, const char *name)
{
	rig_topic(r, name, 1);
	return broker_topic_find(r->b, name);
}

static void a_topic_is_found_by_name_or_id_until_its_time_is_over(void **state)
{
	struct rig *r = *state;
	struct gone_topics g = {0};
	struct topic *t = make(r, "t");
	struct topic_uuid uuid = topic_uuid(t);
	struct wire_uuid id;

	memcpy(&id, &uuid, sizeof id);
	assert_null(gone_topics_find(&g, slice_str("t"), no_id, NOW));
	gone_topics_add(&g, t, NOW);
	assert_ptr_equal(gone_topics_find(&g, slice_str("t"), no_id, NOW), t);
	assert_ptr_equal(gone_topics_find(&g, SLICE_NULL, id, NOW + GONE_TOPICS_MS - 1), t);
	assert_null(gone_topics_find(&g, slice_str("u"), no_id, NOW));
	assert_null(gone_topics_find(&g, SLICE_NULL, no_id, NOW));
	assert_null(gone_topics_find(&g, slice_str("t"), no_id, NOW + GONE_TOPICS_MS));
}

static void only_the_latest_topics_are_remembered(void **state)
{
	struct rig *r = *state;
	struct gone_topics g = {0};
	char name[16];

	for (int i = 0; i <= GONE_TOPICS_MAX; i++) {
		snprintf(name, sizeof name, "t%d", i);
		gone_topics_add(&g, make(r, name), NOW);
	}
	assert_null(gone_topics_find(&g, slice_str("t0"), no_id, NOW));
	for (int i = 1; i <= GONE_TOPICS_MAX; i++) {
		snprintf(name, sizeof name, "t%d", i);
		assert_non_null(gone_topics_find(&g, slice_str(name), no_id, NOW));
	}
}

/* Asks for "t" by name, without leave to make it. */
static int16_t ask(struct rig *r, int32_t *partitions)
{
	struct metadata_request_topic topic = {.name = slice_str("t")};
	struct metadata_request request = {.topics = {&topic, 1}};
	const struct metadata_response *m = rig_ask(r, API_metadata, 4, &request);

	*partitions = m->topics.v[0].partitions.n;
	return m->topics.v[0].error_code;
}

static void delete_by_wire(struct rig *r)
{
	struct slice name = slice_str("t");
	struct delete_topics_request request = {.topic_names = {&name, 1}};

	rig_ask(r, API_delete_topics, 1, &request);
}

/* However slow the machine is, one of many answers comes within the time. */
static void who_deleted_a_topic_still_sees_it(void **state)
{
	struct rig *r = *state;
	int32_t partitions = 0;
	bool was_seen = false;

	for (int i = 0; i < 1000 && !was_seen; i++) {
		make(r, "t");
		delete_by_wire(r);
		was_seen = ask(r, &partitions) == ERR_NONE && partitions == 1;
	}
	assert_true(was_seen);
}

static void nobody_else_does(void **state)
{
	struct rig *r = *state;
	struct client_options co = {.client_id = "other"};
	struct client_connection *deleter = r->c;
	int32_t partitions;

	make(r, "t");
	delete_by_wire(r);
	assert_ok(client_connection_open("127.0.0.1", server_port(r->s, 0), &co, &r->c, why));
	assert_int_equal(ask(r, &partitions), ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_int_equal(partitions, 0);
	client_connection_close(deleter);
}

static void a_topic_of_the_same_name_is_what_it_sees_then(void **state)
{
	struct rig *r = *state;
	int32_t partitions;

	make(r, "t");
	delete_by_wire(r);
	rig_topic(r, "t", 2);
	assert_int_equal(ask(r, &partitions), ERR_NONE);
	assert_int_equal(partitions, 2);
}

/* No topic is made because somebody asks for it. */
#define STRICT(f) cmocka_unit_test_setup_teardown(f, rig_setup_strict, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_topic_is_found_by_name_or_id_until_its_time_is_over),
		TEST(only_the_latest_topics_are_remembered),
		STRICT(who_deleted_a_topic_still_sees_it),
		STRICT(nobody_else_does),
		STRICT(a_topic_of_the_same_name_is_what_it_sees_then),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

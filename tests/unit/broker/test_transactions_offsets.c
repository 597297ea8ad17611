/* Offsets that are committed in a transaction: pending until its end, held to the member that commits them, gone with their
 * group or topic. */
#include "txn_calls.h"

static void test_d1_offsets_of_an_open_transaction_are_pending(void **state)
{
	struct rig *r = *state;
	struct fetching f = {.group = "g", .topic = "t"};

	rig_topic(r, "t", 2);
	assert_code(commit(r,
			   (struct committing){
				   .group = "g", .topic = "t", .generation = -1, .offset = 3}),
		    ERR_NONE);
	EACH_VERSION(v)
	{
		struct txn_client *c = txn_client_new(r, v ? "b" : "a", v);
		int64_t before = 3 + 10 * v;
		struct txn_offset o = {
			.group = "g", .topic = "t", .metadata = "m", .offset = 13 + 10 * v};
		if (!v) {
			assert_code(txn_offset_commit(c, o), ERR_INVALID_TXN_STATE);
			assert_code(txn_add_group(c, "g"), ERR_NONE);
		}
		assert_int_equal(fetch(r, f).offset, before);
		o.offset--;
		assert_code(txn_offset_commit(c, o), ERR_NONE);
		o.offset++;
		assert_code(txn_offset_commit(c, o), ERR_NONE);
		for (int turn = 0; turn < 2; turn++) {
			assert_int_equal(fetch(r, f).code, ERR_UNSTABLE_OFFSET_COMMIT);
			f.version = 6; /* does not ask for what is stable */
			struct sent *s = fetch_send(r, &f);
			sent_wait(s);
			sent_free(s);
			f.version = 0;
			f.partition = 1;
			assert_int_equal(fetch(r, f).code, 0);
			f.partition = 0;
			if (turn == 0)
				reopen(r);
		}
		txn_commit(c);
		assert_int_equal(fetch(r, f).code, 0);
		assert_int_equal(fetch(r, f).offset, before + 10);
		assert_string_equal(fetch(r, f).metadata, "m");
		free(c);
	}
	reopen(r);
	assert_int_equal(fetch(r, f).offset, 23);
}

static void test_d1_offsets_of_an_aborted_transaction_are_dropped(void **state)
{
	struct rig *r = *state;
	struct fetching f = {.group = "g", .topic = "t"};
	struct txn_client *c = txn_client_new(r, "a", true);

	rig_topic(r, "t", 1);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "g", .topic = "t", .offset = 5}),
		ERR_NONE);
	assert_int_equal(fetch(r, f).code, ERR_UNSTABLE_OFFSET_COMMIT);
	txn_abort(c);
	assert_int_equal(fetch(r, f).code, 0);
	assert_int_equal(fetch(r, f).offset, -1);
	/* By its timeout, too. */
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "g", .topic = "t", .offset = 5}),
		ERR_NONE);
	reopen(r);
	assert_int_equal(fetch(r, f).code, ERR_UNSTABLE_OFFSET_COMMIT);
	pass(r, 71000);
	assert_int_equal(fetch(r, f).code, 0);
	assert_int_equal(fetch(r, f).offset, -1);
	free(c);
}

static void test_a6_a_member_that_was_replaced_cannot_commit_in_a_transaction(void **state)
{
	struct rig *r = *state;
	struct joiner j = {.group = "g", .type = "consumer", .session_ms = 10000};
	struct txn_client *c = txn_client_new(r, "a", true);
	char member[128];

	rig_topic(r, "t", 1);
	struct sent *s = make_classic(r, &j);
	const struct join_group_response *joined = s->call.response;
	snprintf(member, sizeof member, "%.*s", (int)joined->member_id.len,
		 (const char *)joined->member_id.data);
	int32_t generation = joined->generation_id;
	struct txn_offset o = {.group = "g",
			       .topic = "t",
			       .member = member,
			       .generation = generation,
			       .offset = 1};
	assert_code(txn_offset_commit(c, o), ERR_NONE);
	o.generation--;
	assert_code(txn_offset_commit(c, o), ERR_ILLEGAL_GENERATION);
	o.generation = generation;
	o.member = "nobody";
	assert_code(txn_offset_commit(c, o), ERR_UNKNOWN_MEMBER_ID);
	o.member = member;
	o.instance = "static";
	assert_true(txn_offset_commit(c, o) != 0);
	o.instance = NULL;
	/* A producer that does not say who it is, as before version 3, is believed. */
	o.member = NULL;
	assert_code(txn_offset_commit(c, o), ERR_NONE);
	/* Of a group that is not there no generation can be the right one. */
	o = (struct txn_offset){.group = "h", .topic = "t", .member = "m", .generation = 1};
	assert_code(txn_offset_commit(c, o), ERR_ILLEGAL_GENERATION);
	txn_commit(c);
	assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, 1);
	sent_free(s);
	free(c);
}

static void test_a6_a_member_of_the_consumer_protocol_is_held_to_its_epoch(void **state)
{
	struct rig *r = *state;
	struct consumer m = {.group = "g", .id = "m1", .topics = {"t"}, .version = 1};
	struct txn_client *c = txn_client_new(r, "a", true);

	rig_topic(r, "t", 1);
	assert_code(consumer_beat(r, &m, true), ERR_NONE);
	struct txn_offset o = {
		.group = "g", .topic = "t", .member = "m1", .generation = m.epoch, .offset = 4};
	assert_code(txn_offset_commit(c, o), ERR_NONE);
	o.generation++;
	assert_code(txn_offset_commit(c, o), ERR_ILLEGAL_GENERATION);
	o.member = "m2";
	assert_code(txn_offset_commit(c, o), ERR_UNKNOWN_MEMBER_ID);
	txn_abort(c);
	free(c);
}

static void test_d5_what_is_pending_goes_with_its_group_and_with_its_topic(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	struct fetching f = {.group = "g", .topic = "t"};

	rig_topic(r, "t", 1);
	rig_topic(r, "u", 1);
	txn_write(c, rig_partition(r, "u"), 1, 1);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "g", .topic = "t", .offset = 5}),
		ERR_NONE);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "h", .topic = "t", .offset = 6}),
		ERR_NONE);
	assert_code(
		txn_offset_commit(c, (struct txn_offset){.group = "h", .topic = "u", .offset = 7}),
		ERR_NONE);
	assert_code(delete_group(r, "g"), ERR_NONE);
	assert_int_equal(fetch(r, f).code, 0);
	assert_ok(broker_topic_delete(r->b, "u", why));
	reopen(r);
	rig_topic(r, "u", 1);
	txn_commit(c);
	assert_int_equal(fetch(r, f).offset, -1);
	f.group = "h";
	assert_int_equal(fetch(r, f).offset, 6);
	f.topic = "u";
	assert_int_equal(fetch(r, f).offset, -1);
	/* Nothing is left of them in the store, nor of what nobody can ask for. */
	size_t count = 0;
	struct store_iter *offsets =
		store_iter_new(r->b->store, CF_OFFSETS, SLICE_NULL, SLICE_NULL);
	for (store_iter_first(offsets); store_iter_valid(offsets); store_iter_next(offsets))
		count++;
	store_iter_free(offsets);
	assert_int_equal(count, 1);
	struct store_iter *it = store_iter_new(r->b->store, CF_TXN, slice_str("o"), slice_str("p"));
	store_iter_first(it);
	assert_false(store_iter_valid(it));
	store_iter_free(it);
	free(c);
}

/* A story of two transactions and a plain commit, told by letters: a, b: the transaction tells its offset, which is the place in
 * the story; A, B: it is committed; X: b is aborted; p: a plain commit; d: the offset is deleted; r: the broker is started anew. */
static int64_t offset_after(struct rig *r, const char *group, const char *story, bool is_v2)
{
	struct txn_client *c[] = {txn_client_new(r, "a", is_v2), txn_client_new(r, "b", is_v2)};
	struct txn_offset o = {.group = group, .topic = "t"};
	struct committing plain = {.group = group, .topic = "t", .generation = -1};
	int16_t of_group;

	for (const char *s = story; *s; s++) {
		struct txn_client *x = c[*s == 'b' || *s == 'B' || *s == 'X'];
		plain.offset = o.offset = s - story;
		switch (*s) {
		case 'a':
		case 'b':
			if (!is_v2)
				assert_code(txn_add_group(x, group), ERR_NONE);
			assert_code(txn_offset_commit(x, o), ERR_NONE);
			break;
		case 'p':
			assert_code(commit(r, plain), ERR_NONE);
			break;
		case 'd':
			assert_code(delete_offset(r, group, "t", 0, &of_group), ERR_NONE);
			assert_code(of_group, ERR_NONE);
			break;
		case 'r':
			reopen(r);
			break;
		default:
			assert_code(txn_finish(x, *s != 'X'), ERR_NONE);
		}
	}
	free(c[0]);
	free(c[1]);
	return fetch(r, (struct fetching){.group = group, .topic = "t"}).offset;
}

static void test_d5_of_several_commits_the_one_that_came_last_stays(void **state)
{
	static const struct {
		const char *story;
		int offset; /* -1: there is none */
	} cases[] = {
		{"aA", 0},     {"apA", 1},    {"paA", 1},    {"apaA", 2},   {"aprA", 1},
		{"abAB", 1},   {"abBA", 1},   {"abrBA", 1},  {"baAB", 1},   {"abXA", 0},
		{"abBpA", 3},  {"abpBA", 2},  {"apbAB", 2},  {"apbBA", 2},  {"apbrXA", 1},
		{"adA", -1},   {"padA", -1},  {"pardA", -1}, {"abBdA", -1}, {"abdBA", -1},
		{"adaA", 2},   {"adpA", 2},   {"apdA", -1},  {"padrA", -1}, {"abrdaAB", 4},
		{"abraBA", 3}, {"abraAB", 3},
	};
	struct rig *r = *state;
	char group[16];

	rig_topic(r, "t", 1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		EACH_VERSION(v)
		{
			snprintf(group, sizeof group, "g%zu-%d", i, v);
			if (offset_after(r, group, cases[i].story, v) != cases[i].offset)
				fail_msg("%s, version %d", cases[i].story, v + 1);
		}
}

static void test_d5_offsets_that_cannot_be_are_refused(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);
	char metadata[5000];

	rig_topic(r, "t", 1);
	memset(metadata, 'm', sizeof metadata);
	metadata[4097] = 0;
	assert_code(txn_offset_commit(
			    c, (struct txn_offset){.group = "g", .topic = "t", .partition = 1}),
		    ERR_UNKNOWN_TOPIC_OR_PARTITION);
	assert_code(
		txn_offset_commit(
			c, (struct txn_offset){.group = "g", .topic = "t", .metadata = metadata}),
		ERR_OFFSET_METADATA_TOO_LARGE);
	assert_code(txn_offset_commit(c, (struct txn_offset){.group = "", .topic = "t"}),
		    ERR_INVALID_GROUP_ID);
	txn_commit(c);
	free(c);
}

static void test_d2_offsets_are_there_when_the_end_is_answered(void **state)
{
	struct rig *r = *state;
	struct txn_client *c = txn_client_new(r, "a", true);

	rig_topic(r, "t", 1);
	for (int i = 0; i < 200; i++) {
		assert_code(
			txn_offset_commit(
				c, (struct txn_offset){.group = "g", .topic = "t", .offset = i}),
			ERR_NONE);
		txn_commit(c);
		assert_int_equal(fetch(r, (struct fetching){.group = "g", .topic = "t"}).offset, i);
	}
	free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_d1_offsets_of_an_open_transaction_are_pending),
		BOTH(test_d1_offsets_of_an_aborted_transaction_are_dropped),
		MEMORY(test_a6_a_member_that_was_replaced_cannot_commit_in_a_transaction),
		MEMORY(test_a6_a_member_of_the_consumer_protocol_is_held_to_its_epoch),
		BOTH(test_d5_what_is_pending_goes_with_its_group_and_with_its_topic),
		BOTH(test_d5_of_several_commits_the_one_that_came_last_stays),
		MEMORY(test_d5_offsets_that_cannot_be_are_refused),
		MEMORY(test_d2_offsets_are_there_when_the_end_is_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Transactions over the wire: what producers of both protocols are answered, what readers of each isolation level see. */
#include "server_rig.h"

#include "wire/aborted.h"

#define GROUP "readers"

/* A producer with a transactional id and one connection. Partitions are those of topics "a" and "b", index 0. */
struct producer {
	struct rig *r;
	int fd;
	const char *id;
	int64_t producer_id;
	int16_t epoch;
	int protocol; /* 1 or 2 */
	int32_t sequence[2];
};

static int init(struct producer *p)
{
	struct init_producer_id_request q = {.transactional_id = slice_str(p->id),
					     .transaction_timeout_ms = 60000,
					     .producer_id = -1,
					     .producer_epoch = -1};
	const struct init_producer_id_response *a =
		rig_ask(p->r, p->fd, API_init_producer_id, 5, &q);

	p->producer_id = a->producer_id;
	p->epoch = a->producer_epoch;
	p->sequence[0] = p->sequence[1] = 0;
	return a->error_code;
}

static struct producer producer(struct rig *r, const char *id, int protocol)
{
	struct producer p = {.r = r, .fd = rig_connect(r), .id = id, .protocol = protocol};

	assert_int_equal(init(&p), 0);
	return p;
}

static int add(struct producer *p, const char *topic)
{
	int32_t index = 0;
	struct add_partitions_to_txn_request_topic t = {.name = slice_str(topic),
							.partitions = {&index, 1}};
	struct add_partitions_to_txn_request q = {.v3_and_below_transactional_id = slice_str(p->id),
						  .v3_and_below_producer_id = p->producer_id,
						  .v3_and_below_producer_epoch = p->epoch,
						  .v3_and_below_topics = {&t, 1}};
	const struct add_partitions_to_txn_response *a =
		rig_ask(p->r, p->fd, API_add_partitions_to_txn, 3, &q);

	assert_int_equal(a->results_by_topic_v3_and_below.n, 1);
	assert_int_equal(a->results_by_topic_v3_and_below.v[0].results_by_partition.n, 1);
	return a->results_by_topic_v3_and_below.v[0].results_by_partition.v[0].partition_error_code;
}

/* One record, without adding the partition first; a sequence number is used up when it was taken. */
static int send_only(struct producer *p, const char *topic, const char *value)
{
	int32_t *sequence = &p->sequence[strcmp(topic, "a") != 0];
	struct buf b = {0};
	struct rig_produce q;

	batch_write(&b, "k", &value, 1, 1700000000000, CODEC_NONE);
	batch_set_producer(b.data, b.len, p->producer_id, p->epoch, *sequence, true);
	produce_fill(&q, topic, 0, -1, buf_slice(&b));
	q.request.transactional_id = slice_str(p->id);
	const struct produce_response *a =
		rig_ask(p->r, p->fd, API_produce, p->protocol == 1 ? 9 : 12, &q.request);
	int err = a->responses.v[0].partition_responses.v[0].error_code;
	*sequence += err == 0;
	buf_fini(&b);
	return err;
}

static int send_one(struct producer *p, const char *topic, const char *value)
{
	if (p->protocol == 1)
		assert_int_equal(add(p, topic), 0);
	return send_only(p, topic, value);
}

/* With the next epoch sequence numbers begin anew. */
static int end_with(struct producer *p, bool is_commit)
{
	struct end_txn_request q = {.transactional_id = slice_str(p->id),
				    .producer_id = p->producer_id,
				    .producer_epoch = p->epoch,
				    .committed = is_commit};
	const struct end_txn_response *a =
		rig_ask(p->r, p->fd, API_end_txn, p->protocol == 1 ? 3 : 5, &q);

	if (p->protocol == 2 && !a->error_code) {
		p->producer_id = a->producer_id;
		p->epoch = a->producer_epoch;
		p->sequence[0] = p->sequence[1] = 0;
	}
	return a->error_code;
}

/* --- reading --- */

static void append_values(const struct batch *b, struct buf *text)
{
	struct buf scratch = {0};
	struct record_iter it;
	struct record record;

	assert_ok(record_iter_init(&it, b, 1 << 20, &scratch));
	while (record_iter_next(&it, &record) > 0)
		buf_printf(text, "%.*s ", (int)record.value.len, (const char *)record.value.data);
	buf_fini(&scratch);
}

/* What a consumer makes of an answer: the values, each with a blank behind it. */
static void values_of(const struct fetch_response_partition *p, struct buf *text)
{
	struct slice left = records_of(&p->records);
	struct aborted_batches aborted = {.count = 0};
	struct batch b;

	aborted_batches_find(&aborted, left, p->aborted_transactions.v,
			     p->aborted_transactions.n > 0 ? (size_t)p->aborted_transactions.n : 0);
	for (; left.len; left = slice_of(left.data + b.bytes.len, left.len - b.bytes.len)) {
		assert_ok(batch_verify(left, &b));
		if (!batch_is_control(&b) && !aborted_batches_has(&aborted, &b))
			append_values(&b, text);
	}
	aborted_batches_fini(&aborted);
}

static const struct fetch_response_partition *fetch(struct rig *r, int fd, const char *topic,
						    int isolation_level)
{
	struct rig_fetch f;

	fetch_fill(&f, topic, 0, 0);
	f.request.isolation_level = (int8_t)isolation_level;
	const struct fetch_response *a = rig_ask(r, fd, API_fetch, 11, &f.request);
	assert_int_equal(a->responses.v[0].partitions.v[0].error_code, 0);
	return &a->responses.v[0].partitions.v[0];
}

#define assert_reads(p, topic, level, expected)                                                    \
	do {                                                                                       \
		struct buf text_ = {0};                                                            \
		values_of(fetch((p)->r, (p)->fd, topic, level), &text_);                           \
		assert_string_equal(buf_cstr(&text_), expected);                                   \
		buf_fini(&text_);                                                                  \
	} while (0)
#define UNCOMMITTED 0
#define COMMITTED   1

static int64_t latest(struct rig *r, int fd, const char *topic, int isolation_level)
{
	struct list_offsets_request_partition p = {.timestamp = -1, .current_leader_epoch = -1};
	struct list_offsets_request_topic t = {.name = slice_str(topic), .partitions = {&p, 1}};
	struct list_offsets_request q = {
		.replica_id = -1, .isolation_level = (int8_t)isolation_level, .topics = {&t, 1}};
	const struct list_offsets_response *a = rig_ask(r, fd, API_list_offsets, 7, &q);

	assert_int_equal(a->topics.v[0].partitions.v[0].error_code, 0);
	return a->topics.v[0].partitions.v[0].offset;
}

/* --- the course of a transaction --- */

static void run_through(struct rig *r, int protocol)
{
	struct producer p;

	rig_topic(r, "a", 1);
	rig_topic(r, "b", 1);
	p = producer(r, "copier", protocol);
	assert_int_equal(send_one(&p, "a", "1"), 0);
	assert_int_equal(send_one(&p, "b", "2"), 0);
	assert_reads(&p, "a", COMMITTED, "");
	assert_reads(&p, "a", UNCOMMITTED, "1 ");
	assert_int_equal(end_with(&p, true), 0);
	assert_reads(&p, "a", COMMITTED, "1 ");
	assert_reads(&p, "b", COMMITTED, "2 ");
	assert_int_equal(send_one(&p, "a", "3"), 0);
	assert_int_equal(end_with(&p, false), 0);
	assert_int_equal(send_one(&p, "a", "4"), 0);
	assert_int_equal(end_with(&p, true), 0);
	assert_reads(&p, "a", COMMITTED, "1 4 ");
}

static void protocol_1_commits_and_aborts(void **state)
{
	run_through(*state, 1);
}

static void protocol_2_commits_and_aborts(void **state)
{
	run_through(*state, 2);
}

static void protocol_2_has_a_new_epoch_for_each_transaction(void **state)
{
	struct rig *r = *state;
	struct producer p;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 2);
	int16_t first = p.epoch;
	assert_int_equal(send_one(&p, "a", "1"), 0);
	assert_int_equal(end_with(&p, true), 0);
	assert_int_equal(p.epoch, first + 1);
	assert_int_equal(send_one(&p, "a", "2"), 0);
	assert_int_equal(end_with(&p, false), 0);
	assert_int_equal(p.epoch, first + 2);
}

static void test_b6_who_reads_everything_gets_aborted_records_and_no_list(void **state)
{
	struct rig *r = *state;
	struct producer p;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 1);
	assert_int_equal(send_one(&p, "a", "1"), 0);
	assert_int_equal(end_with(&p, false), 0);
	const struct fetch_response_partition *a = fetch(r, p.fd, "a", UNCOMMITTED);
	assert_int_equal(a->aborted_transactions.n, -1);
	assert_reads(&p, "a", UNCOMMITTED, "1 ");
	a = fetch(r, p.fd, "a", COMMITTED);
	assert_int_equal(a->aborted_transactions.n, 1);
	assert_int_equal(a->aborted_transactions.v[0].producer_id, p.producer_id);
	assert_int_equal(a->aborted_transactions.v[0].first_offset, 0);
	assert_reads(&p, "a", COMMITTED, "");
}

static void test_b1_a_fetch_that_waits_sees_what_the_end_made_of_the_records(void **state)
{
	struct rig *r = *state;
	struct producer p;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 1);
	for (int is_commit = 0; is_commit <= 1; is_commit++) {
		struct rig_fetch f;
		struct buf text = {0};
		int64_t from = latest(r, p.fd, "a", COMMITTED);
		int fd = rig_connect(r);
		assert_int_equal(send_one(&p, "a", "x"), 0);
		fetch_fill(&f, "a", from, PATIENCE_S * 1000);
		f.request.isolation_level = COMMITTED;
		rig_send(fd, API_fetch, 11, 7, &f.request);
		/* Whichever of the two comes first, the answer is the same. */
		assert_int_equal(end_with(&p, is_commit), 0);
		const struct fetch_response *a = rig_receive(r, fd, API_fetch, 11, 7);
		values_of(&a->responses.v[0].partitions.v[0], &text);
		assert_string_equal(buf_cstr(&text), is_commit ? "x " : "");
		assert_true(a->responses.v[0].partitions.v[0].records.n > 0);
		buf_fini(&text);
		rig_disconnect(r, fd);
	}
}

static void test_b7_the_latest_offset_is_the_last_stable_one(void **state)
{
	struct rig *r = *state;
	struct producer p;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 2);
	rig_produce(r, p.fd, "a", "before");
	assert_int_equal(send_one(&p, "a", "1"), 0);
	rig_produce(r, p.fd, "a", "after");
	assert_int_equal(latest(r, p.fd, "a", UNCOMMITTED), 3);
	assert_int_equal(latest(r, p.fd, "a", COMMITTED), 1);
	const struct fetch_response_partition *a = fetch(r, p.fd, "a", COMMITTED);
	assert_int_equal(a->high_watermark, 3);
	assert_int_equal(a->last_stable_offset, 1);
	assert_reads(&p, "a", COMMITTED, "before ");
	assert_int_equal(end_with(&p, true), 0);
	assert_int_equal(latest(r, p.fd, "a", COMMITTED), 4);
	assert_reads(&p, "a", COMMITTED, "before 1 after ");
}

/* --- who is refused --- */

static void test_a3_a_partition_that_was_not_added_takes_nothing(void **state)
{
	struct rig *r = *state;
	struct producer p;

	rig_topic(r, "a", 1);
	rig_topic(r, "b", 1);
	p = producer(r, "p", 1);
	assert_int_equal(send_only(&p, "a", "1"), ERR_INVALID_TXN_STATE);
	assert_int_equal(add(&p, "b"), 0);
	assert_int_equal(send_only(&p, "a", "1"), ERR_INVALID_TXN_STATE);
	assert_int_equal(latest(r, p.fd, "a", COMMITTED), 0);
	assert_int_equal(latest(r, p.fd, "a", UNCOMMITTED), 0);
}

static void test_a5_a_producer_that_was_replaced_writes_nothing_more(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	for (int protocol = 1; protocol <= 2; protocol++) {
		struct producer old = producer(r, "p", protocol), new;
		assert_int_equal(send_one(&old, "a", "old"), 0);
		new = producer(r, "p", protocol);
		assert_true(new.producer_id != old.producer_id || new.epoch > old.epoch);
		/* It has ended what was open. */
		assert_int_equal(latest(r, new.fd, "a", COMMITTED),
				 latest(r, new.fd, "a", UNCOMMITTED));
		assert_int_not_equal(send_only(&old, "a", "late"), 0);
		assert_int_not_equal(end_with(&old, true), 0);
		assert_reads(&new, "a", COMMITTED, protocol == 1 ? "" : "new ");
		assert_int_equal(send_one(&new, "a", "new"), 0);
		assert_int_equal(end_with(&new, true), 0);
	}
}

static void test_a1_the_end_of_an_earlier_transaction_that_comes_late_ends_nothing(void **state)
{
	struct rig *r = *state;
	struct producer p;
	int older;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 1);
	older = p.fd;
	assert_int_equal(send_one(&p, "a", "1"), 0);
	/* Its client gave the connection up, came back, ended this one and began the next. */
	p.fd = rig_connect(r);
	assert_int_equal(end_with(&p, true), 0);
	assert_int_equal(send_one(&p, "a", "2"), 0);
	struct producer late = p;
	late.fd = older;
	assert_int_not_equal(end_with(&late, true), 0);
	assert_int_not_equal(end_with(&late, false), 0);
	assert_reads(&p, "a", COMMITTED, "1 ");
	assert_int_equal(send_one(&p, "a", "3"), 0);
	assert_int_equal(end_with(&p, true), 0);
	assert_reads(&p, "a", COMMITTED, "1 2 3 ");
}

static void without_the_fence_an_older_connection_is_heard(void **state)
{
	struct rig *r = *state;
	struct producer p;
	int older;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 1);
	older = p.fd;
	p.fd = rig_connect(r);
	assert_int_equal(send_one(&p, "a", "1"), 0);
	p.fd = older;
	assert_int_equal(end_with(&p, true), 0);
}

static int setup_without_a_fence(void **state)
{
	struct rig *r = rig_new();

	r->bo.txns.no_connection_defence = true;
	rig_start(r);
	*state = r;
	return 0;
}

static void a_transactional_batch_needs_a_request_with_a_transactional_id(void **state)
{
	struct rig *r = *state;
	const char *value = "v";
	struct producer p;
	struct buf b = {0};

	rig_topic(r, "a", 1);
	p = producer(r, "p", 1);
	batch_write(&b, "k", &value, 1, 1700000000000, CODEC_NONE);
	batch_set_producer(b.data, b.len, p.producer_id, p.epoch, 0, true);
	assert_int_equal(rig_produce_bytes(r, p.fd, 9, "a", buf_slice(&b))->error_code,
			 ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED);
	buf_fini(&b);
}

/* --- offsets --- */

static int commit_offset(struct producer *p, int64_t offset)
{
	struct txn_offset_commit_request_partition part = {.committed_offset = offset,
							   .committed_leader_epoch = -1};
	struct txn_offset_commit_request_topic t = {.name = slice_str("a"),
						    .partitions = {&part, 1}};
	struct txn_offset_commit_request q = {.transactional_id = slice_str(p->id),
					      .group_id = slice_str(GROUP),
					      .producer_id = p->producer_id,
					      .producer_epoch = p->epoch,
					      .generation_id = -1,
					      .member_id = slice_str(""),
					      .topics = {&t, 1}};
	struct add_offsets_to_txn_request added = {.transactional_id = slice_str(p->id),
						   .producer_id = p->producer_id,
						   .producer_epoch = p->epoch,
						   .group_id = slice_str(GROUP)};

	if (p->protocol == 1) {
		const struct add_offsets_to_txn_response *o =
			rig_ask(p->r, p->fd, API_add_offsets_to_txn, 3, &added);
		assert_int_equal(o->error_code, 0);
	}
	const struct txn_offset_commit_response *a =
		rig_ask(p->r, p->fd, API_txn_offset_commit, p->protocol == 1 ? 3 : 5, &q);
	return a->topics.v[0].partitions.v[0].error_code;
}

static void assert_offset(struct producer *p, bool is_stable, int err, int64_t offset)
{
	int32_t index = 0;
	struct offset_fetch_request_group_topic t = {.name = slice_str("a"),
						     .partition_indexes = {&index, 1}};
	struct offset_fetch_request_group g = {
		.group_id = slice_str(GROUP), .member_epoch = -1, .topics = {&t, 1}};
	struct offset_fetch_request q = {.groups = {&g, 1}, .require_stable = is_stable};
	const struct offset_fetch_response *a = rig_ask(p->r, p->fd, API_offset_fetch, 8, &q);
	const struct offset_fetch_response_group_topic_partition *found =
		&a->groups.v[0].topics.v[0].partitions.v[0];

	assert_int_equal(found->error_code, err);
	assert_int_equal(found->committed_offset, offset);
}

static void test_d1_offsets_are_seen_when_the_transaction_is_committed(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "a", 1);
	for (int protocol = 1; protocol <= 2; protocol++) {
		struct producer p = producer(r, "p", protocol);
		int64_t before = protocol == 1 ? -1 : 30;
		assert_int_equal(commit_offset(&p, 20), 0);
		assert_offset(&p, true, ERR_UNSTABLE_OFFSET_COMMIT, -1);
		assert_offset(&p, false, 0, before);
		assert_int_equal(end_with(&p, false), 0);
		assert_offset(&p, true, 0, before);
		assert_int_equal(commit_offset(&p, 30), 0);
		assert_int_equal(end_with(&p, true), 0);
		assert_offset(&p, true, 0, 30);
	}
}

/* --- looking at them --- */

static void open_transactions_are_listed_and_described(void **state)
{
	struct rig *r = *state;
	struct slice name = slice_str("p"), ongoing = slice_str("Ongoing");
	struct list_transactions_request list = {.state_filters = {&ongoing, 1},
						 .duration_filter = -1};
	struct describe_transactions_request describe = {.transactional_ids = {&name, 1}};
	struct producer p;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 2);
	const struct list_transactions_response *l =
		rig_ask(r, p.fd, API_list_transactions, 2, &list);
	assert_int_equal(l->transaction_states.n, 0);
	assert_int_equal(send_one(&p, "a", "1"), 0);
	l = rig_ask(r, p.fd, API_list_transactions, 2, &list);
	assert_int_equal(l->transaction_states.n, 1);
	assert_slice(l->transaction_states.v[0].transactional_id, "p");
	assert_slice(l->transaction_states.v[0].transaction_state, "Ongoing");
	const struct describe_transactions_response *d =
		rig_ask(r, p.fd, API_describe_transactions, 0, &describe);
	assert_int_equal(d->transaction_states.n, 1);
	assert_int_equal(d->transaction_states.v[0].producer_id, p.producer_id);
	assert_int_equal(d->transaction_states.v[0].producer_epoch, p.epoch);
	assert_int_equal(d->transaction_states.v[0].transaction_timeout_ms, 60000);
	assert_int_equal(d->transaction_states.v[0].topics.n, 1);
	assert_slice(d->transaction_states.v[0].topics.v[0].topic, "a");
}

static void producers_are_told_with_where_their_transaction_began(void **state)
{
	struct rig *r = *state;
	int32_t index = 0;
	struct describe_producers_request_topic t = {.name = slice_str("a"),
						     .partition_indexes = {&index, 1}};
	struct describe_producers_request q = {.topics = {&t, 1}};
	struct producer p;

	rig_topic(r, "a", 1);
	p = producer(r, "p", 2);
	rig_produce(r, p.fd, "a", "before");
	assert_int_equal(send_one(&p, "a", "1"), 0);
	assert_int_equal(send_one(&p, "a", "2"), 0);
	const struct describe_producers_response *a =
		rig_ask(r, p.fd, API_describe_producers, 0, &q);
	assert_int_equal(a->topics.v[0].partitions.v[0].active_producers.n, 1);
	assert_int_equal(
		a->topics.v[0].partitions.v[0].active_producers.v[0].current_txn_start_offset, 1);
	assert_int_equal(end_with(&p, true), 0);
	a = rig_ask(r, p.fd, API_describe_producers, 0, &q);
	assert_int_equal(a->topics.v[0].partitions.v[0].active_producers.n, 1);
	assert_int_equal(
		a->topics.v[0].partitions.v[0].active_producers.v[0].current_txn_start_offset, -1);
}

static void the_features_say_that_protocol_2_is_served(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct api_versions_request q = {.client_software_name = slice_str("x"),
					 .client_software_version = slice_str("1")};

	for (int16_t version = 3; version <= 4; version++) {
		const struct api_versions_response *a =
			rig_ask(r, fd, API_api_versions, version, &q);
		/* Clients of version 3 fail over a least version of 0. */
		assert_int_equal(a->supported_features.n, version == 3 ? 0 : 1);
		assert_true(a->finalized_features_epoch >= 0);
		assert_int_equal(a->finalized_features.n, 1);
		assert_slice(a->finalized_features.v[0].name, "transaction.version");
		assert_int_equal(a->finalized_features.v[0].max_version_level, 2);
		assert_int_equal(a->finalized_features.v[0].min_version_level, 2);
	}
}

static void every_transactional_id_has_this_coordinator(void **state)
{
	struct rig *r = *state;
	int fd = rig_connect(r);
	struct slice key = slice_str("p");
	struct find_coordinator_request q = {.key_type = 1, .coordinator_keys = {&key, 1}};
	const struct find_coordinator_response *a = rig_ask(r, fd, API_find_coordinator, 4, &q);

	assert_int_equal(a->coordinators.n, 1);
	assert_int_equal(a->coordinators.v[0].error_code, 0);
	assert_int_equal(a->coordinators.v[0].node_id, 1);
	assert_slice(a->coordinators.v[0].key, "p");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(protocol_1_commits_and_aborts),
		TEST(protocol_2_commits_and_aborts),
		TEST(protocol_2_has_a_new_epoch_for_each_transaction),
		TEST(test_b6_who_reads_everything_gets_aborted_records_and_no_list),
		TEST(test_b1_a_fetch_that_waits_sees_what_the_end_made_of_the_records),
		TEST(test_b7_the_latest_offset_is_the_last_stable_one),
		TEST(test_a3_a_partition_that_was_not_added_takes_nothing),
		TEST(test_a5_a_producer_that_was_replaced_writes_nothing_more),
		TEST(test_a1_the_end_of_an_earlier_transaction_that_comes_late_ends_nothing),
		TEST_WITH(without_the_fence_an_older_connection_is_heard, setup_without_a_fence),
		TEST(a_transactional_batch_needs_a_request_with_a_transactional_id),
		TEST(test_d1_offsets_are_seen_when_the_transaction_is_committed),
		TEST(open_transactions_are_listed_and_described),
		TEST(producers_are_told_with_where_their_transaction_began),
		TEST(the_features_say_that_protocol_2_is_served),
		TEST(every_transactional_id_has_this_coordinator),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

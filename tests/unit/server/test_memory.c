/* The memory that all connections of a server share: who waits for it, and who has to go when others wait. */
#include "server_rig.h"

#include <poll.h>

#define WAIT_FOR_EVER INT32_MAX
#define LARGE_BYTES   900000 /* more than the buffers of a socket hold */

static void send_fetch(int fd, int32_t correlation_id)
{
	struct rig_fetch f;

	fetch_fill(&f, "t", 0, WAIT_FOR_EVER);
	rig_send(fd, API_fetch, 11, correlation_id, &f.request);
}

/* How many records came. */
static int fetch_answer(struct rig *r, int fd, int32_t correlation_id)
{
	const struct fetch_response *a = rig_receive(r, fd, API_fetch, 11, correlation_id);

	assert_int_equal(a->error_code, 0);
	return count_records(records_of(&a->responses.v[0].partitions.v[0].records), NULL, 0);
}

/* With the one record that there is. */
static void fetch_is_answered(struct rig *r, int fd, int32_t correlation_id)
{
	assert_int_equal(fetch_answer(r, fd, correlation_id), 1);
}

/* Reads to the end. Returns how much came. */
static size_t read_rest(int fd)
{
	static char some[65536];
	size_t len = 0;
	ssize_t n;

	while ((n = rig_recv(fd, some, sizeof some, 0)) > 0)
		len += (size_t)n;
	assert_int_equal(n, 0);
	return len;
}

/* --- in turn --- */

static int setup_little_memory(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.answer_memory_bytes = 100000;
	r->so.request_memory_bytes = 300000;
	rig_start(r);
	return 0;
}

/* Answers of 60 kB from a memory of 100 kB: they come one after the other, and all come. */
static void consumers_share_a_small_memory_in_turn(void **state)
{
	struct rig *r = *state;
	int fds[8];

	rig_topic(r, "t", 1);
	for (int i = 0; i < 8; i++)
		fds[i] = rig_connect(r);
	rig_produce_large(r, fds[0], "t", 60000);
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 8; i++)
			send_fetch(fds[i], round);
		for (int i = 0; i < 8; i++)
			fetch_is_answered(r, fds[i], round);
	}
}

/* Requests of 200 kB each from a memory of 300 kB, all begun before any is finished. */
static void producers_share_a_small_memory_in_turn(void **state)
{
	struct rig *r = *state;
	int fds[6];
	struct buf b = {0};

	rig_topic(r, "t", 1);
	request_write_large(&b, 1, "t", 200000);
	for (int i = 0; i < 6; i++) {
		fds[i] = rig_connect(r);
		rig_write(fds[i], b.data, 70000);
	}
	for (int i = 0; i < 6; i++)
		rig_write(fds[i], b.data + 70000, b.len - 70000);
	for (int i = 0; i < 6; i++)
		rig_receive(r, fds[i], API_produce, 9, 1);
	assert_int_equal(partition_high_watermark(topic_partition(broker_topic_find(r->b, "t"), 0)),
			 6);
	buf_fini(&b);
}

/* --- who is slow --- */

static int setup_impatient(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.loops = 1;
	r->so.slow_ms = 20;
	r->so.answer_memory_bytes = LARGE_BYTES + LARGE_BYTES / 2;
	r->so.request_memory_bytes = 300000;
	rig_start(r);
	return 0;
}

/* A consumer that has an answer on its way to it, and reads nothing of it. */
static int deaf_consumer(struct rig *r)
{
	int fd = rig_connect(r);
	char byte;

	send_fetch(fd, 1);
	assert_int_equal(rig_recv(fd, &byte, 1, MSG_PEEK), 1);
	return fd;
}

static int setup_large(void **state)
{
	setup_impatient(state);
	struct rig *r = *state;
	rig_topic_with(r, "t", 1, "max.message.bytes", "10000000");
	int fd = rig_connect(r);
	/* Larger than the memory of requests: it gets it, as nobody else has any. */
	rig_produce_large(r, fd, "t", LARGE_BYTES);
	return 0;
}

static void who_reads_no_answer_is_closed_when_others_wait_for_that_memory(void **state)
{
	struct rig *r = *state;
	int deaf = deaf_consumer(r), other = rig_connect(r);

	/* While memory is short those who wait are sent away now and then, and come again. */
	int32_t id = 7;
	do
		send_fetch(other, ++id);
	while (!fetch_answer(r, other, id));
	assert_in_range(read_rest(deaf), 1, LARGE_BYTES - 1);
}

static void who_reads_no_answer_is_let_be_while_nobody_waits(void **state)
{
	struct rig *r = *state;
	int deaf = deaf_consumer(r), other = rig_connect(r);

	for (int i = 0; i < 2000; i++)
		rig_ping(r, other);
	fetch_is_answered(r, deaf, 1);
	rig_ping(r, deaf);
}

/* The second one is favoured by the pool and does not go on either: only when both are gone is there room again. */
static void who_sends_half_a_request_is_closed_when_others_wait_for_that_memory(void **state)
{
	struct rig *r = *state;
	struct pool *pool = &r->s->request_memory;
	struct buf b = {0};
	int halves[2], whole = rig_connect(r);

	rig_ping(r, whole);
	request_write_large(&b, 1, "t", 200000);
	for (int i = 0; i < 2; i++) {
		halves[i] = rig_connect(r);
		rig_ping(r, halves[i]);
		rig_write(halves[i], b.data, 70000);
		await_used(pool, (size_t)(i + 1) * 131072);
	}
	rig_write(halves[1], b.data + 70000, 70000);
	await_used(pool, 131072 + b.len - 4);
	rig_write(whole, b.data, b.len);
	rig_receive(r, whole, API_produce, 9, 1);
	assert_true(rig_is_closed(halves[0]));
	assert_true(rig_is_closed(halves[1]));
	buf_fini(&b);
}

/* --- answers of other kinds --- */

#define PEERS      12
#define ASKED      16
#define PARTITIONS 5000
#define ROOM       (4 * 1024 * 1024)

static int setup_many_partitions(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.loops = 2;
	r->so.answer_memory_bytes = ROOM;
	rig_start(r);
	rig_topic(r, "many", PARTITIONS);
	rig_topic(r, "t", 1);
	return 0;
}

/* Asks for the same again and again. Each answer is some 130 KB. */
static void ask_for_much(int fd, int32_t times)
{
	struct metadata_request_topic topic = {.name = slice_str("many")};
	struct metadata_request q = {.topics = {&topic, 1}};
	struct buf b = {0};

	for (int32_t i = 0; i < times; i++)
		request_write(&b, API_metadata, 1, i, &q);
	rig_write(fd, b.data, b.len);
	buf_fini(&b);
}

static void read_much(struct rig *r, int fd, int32_t correlation_id)
{
	const struct metadata_response *a = rig_receive(r, fd, API_metadata, 1, correlation_id);

	assert_int_equal(a->topics.v[0].partitions.n, PARTITIONS);
	arena_reset(&r->arena);
}

/* Nobody waits for one of them while others have answers to be read: these may hold all of the memory. */
static void read_as_it_comes(struct rig *r, struct pool *pool, const int *fds)
{
	struct pollfd peers[PEERS];
	int32_t next[PEERS] = {0};

	for (int i = 0; i < PEERS; i++)
		peers[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
	for (int left = PEERS * ASKED; left > 0;) {
		if (poll(peers, PEERS, 60000) <= 0)
			fail_msg("no answer came, and %d are left", left);
		for (int i = 0; i < PEERS; i++) {
			if (!peers[i].revents)
				continue;
			read_much(r, fds[i], next[i]);
			assert_in_range(pool_used_bytes(pool), 0, ROOM);
			left--;
			if (++next[i] == ASKED)
				peers[i].fd = -1;
		}
	}
}

static void peers_that_ask_for_much_and_read_nothing_share_the_memory_of_answers(void **state)
{
	struct rig *r = *state;
	struct pool *pool = &r->s->answer_memory;
	int fds[PEERS], other = rig_connect(r);

	for (int i = 0; i < PEERS; i++)
		ask_for_much(fds[i] = rig_connect(r), ASKED);
	await_shortage(pool);
	assert_in_range(pool_used_bytes(pool), 1, ROOM);
	/* Who makes no large answers is not held up. */
	assert_int_equal(rig_produce(r, other, "t", "x"), 0);
	rig_ping(r, other);
	read_as_it_comes(r, pool, fds);
	await_used(pool, 0);
}

static void peers_that_go_while_they_wait_for_that_memory_leave_nothing_behind(void **state)
{
	struct rig *r = *state;
	struct pool *pool = &r->s->answer_memory;
	int fds[PEERS], last;

	for (int i = 0; i < PEERS; i++)
		ask_for_much(fds[i] = rig_connect(r), ASKED);
	await_shortage(pool);
	ask_for_much(last = rig_connect(r), 1);
	for (int i = 0; i < PEERS; i++)
		rig_disconnect(r, fds[i]);
	read_much(r, last, 0);
	await_used(pool, 0);
}

static int setup_many_partitions_impatient(void **state)
{
	struct rig *r = *state = rig_new();

	r->so.loops = 1;
	r->so.answer_memory_bytes = ROOM;
	r->so.slow_ms = 20;
	rig_start(r);
	rig_topic(r, "many", PARTITIONS);
	return 0;
}

static bool reads(int fd, void *bytes, size_t n)
{
	uint8_t *p = bytes;

	while (n > 0) {
		ssize_t part = rig_recv(fd, p, n, 0);
		if (part <= 0)
			return false;
		p += part;
		n -= (size_t)part;
	}
	return true;
}

/* Whether every answer comes, late as it is. */
static bool reads_all(int fd)
{
	static uint8_t some[1 << 20];

	for (int i = 0; i < ASKED; i++) {
		if (!reads(fd, some, 4) || !reads(fd, some, get_u32be(some)))
			return false;
	}
	return true;
}

static void who_reads_none_of_much_is_closed_when_others_wait_for_that_memory(void **state)
{
	struct rig *r = *state;
	int fds[PEERS], last;

	for (int i = 0; i < PEERS; i++)
		ask_for_much(fds[i] = rig_connect(r), ASKED);
	await_shortage(&r->s->answer_memory);
	ask_for_much(last = rig_connect(r), 1);
	read_much(r, last, 0);
	int hung_up = 0;
	for (int i = 0; i < PEERS; i++)
		hung_up += !reads_all(fds[i]);
	assert_in_range(hung_up, 1, PEERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST_WITH(consumers_share_a_small_memory_in_turn, setup_little_memory),
		TEST_WITH(producers_share_a_small_memory_in_turn, setup_little_memory),
		TEST_WITH(who_reads_no_answer_is_closed_when_others_wait_for_that_memory,
			  setup_large),
		TEST_WITH(who_reads_no_answer_is_let_be_while_nobody_waits, setup_large),
		TEST_WITH(who_sends_half_a_request_is_closed_when_others_wait_for_that_memory,
			  setup_large),
		TEST_WITH(peers_that_ask_for_much_and_read_nothing_share_the_memory_of_answers,
			  setup_many_partitions),
		TEST_WITH(peers_that_go_while_they_wait_for_that_memory_leave_nothing_behind,
			  setup_many_partitions),
		TEST_WITH(who_reads_none_of_much_is_closed_when_others_wait_for_that_memory,
			  setup_many_partitions_impatient),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

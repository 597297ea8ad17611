/* broker_clients.c - real clients of a broker that is killed again and again, and their judgement.
 *
 *     broker_clients HOST:PORT TOPIC PRODUCERS CONSUMERS
 *
 * Idempotent producers with acks=all write numbered records; the members of one group read and commit. Everything
 * that the broker acknowledged is remembered. When standard input ends the producers finish, the broker being up for good by
 * then, and the log is read from its beginning. Then must hold:
 *   - every acknowledged record is there, at the offset that was acknowledged, once
 *   - in each partition the records of one producer stand in the order in which it wrote them
 *   - committed offsets never went back: not below any commit that was acknowledged
 * It prints what it counted, and exits with 1 at the first thing that does not hold.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PARTITIONS    4
#define PRODUCERS_MAX 16
#define CONSUMERS_MAX 8
#define RECORDS_MAX   2000000 /* per producer */

struct producer {
	pthread_t thread;
	int number;
	int64_t *offsets; /* by record number: where it was acknowledged; -1 before */
	long sent, acknowledged;
};

static const char *bootstrap, *topic;
static struct producer producers[PRODUCERS_MAX];
static int producer_count, consumer_count;
static atomic_bool is_stopping, is_reading;
static pthread_mutex_t commits = PTHREAD_MUTEX_INITIALIZER;
static int64_t committed[PARTITIONS]; /* the highest that was acknowledged, under commits */
static atomic_long commit_count, consumed_count;

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("broker_clients: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(conf, key, value, why, sizeof why))
		fail("%s", why);
}

/* A broker that is down is no news here. */
static void quiet(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	if (level <= 3 && !strstr(facility, "FAIL") && !strstr(facility, "ERROR"))
		fprintf(stderr, "%s: %s: %s\n", rd_kafka_name(rk), facility, text);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	(void)opaque;
	if (err == RD_KAFKA_RESP_ERR__FATAL)
		fail("%s: fatal: %s", rd_kafka_name(rk), reason);
}

static rd_kafka_conf_t *configure(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "bootstrap.servers", bootstrap);
	set(conf, "reconnect.backoff.ms", "20");
	set(conf, "reconnect.backoff.max.ms", "100");
	set(conf, "socket.timeout.ms", "5000");
	rd_kafka_conf_set_log_cb(conf, quiet);
	rd_kafka_conf_set_error_cb(conf, on_error);
	return conf;
}

static rd_kafka_t *client(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);

	if (!rk)
		fail("%s", why);
	return rk;
}

/* --- producers --- */

/* The message's opaque is its number plus one. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct producer *p = opaque;
	long number = (long)(intptr_t)m->_private - 1;

	(void)rk;
	if (m->err)
		fail("producer %d: record %ld was given up: %s", p->number, number,
		     rd_kafka_err2str(m->err));
	if (p->offsets[number] != -1)
		fail("producer %d: record %ld was acknowledged twice", p->number, number);
	p->offsets[number] = m->offset;
	p->acknowledged++;
}

static void *produce(void *arg)
{
	struct producer *p = arg;
	rd_kafka_conf_t *conf = configure();
	char value[64];

	set(conf, "enable.idempotence", "true");
	set(conf, "acks", "all");
	set(conf, "message.timeout.ms", "0");
	set(conf, "linger.ms", "1");
	set(conf, "queue.buffering.max.messages", "5000");
	set(conf, "batch.num.messages", "50");
	rd_kafka_conf_set_opaque(conf, p);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *rk = client(RD_KAFKA_PRODUCER, conf);
	rd_kafka_topic_t *t = rd_kafka_topic_new(rk, topic, NULL);

	while (!atomic_load(&is_stopping) && p->sent < RECORDS_MAX) {
		int n = snprintf(value, sizeof value, "%d %ld", p->number, p->sent);
		if (rd_kafka_produce(t, (int32_t)(p->sent % PARTITIONS), RD_KAFKA_MSG_F_COPY, value,
				     (size_t)n, NULL, 0, (void *)(intptr_t)(p->sent + 1)) == 0)
			p->sent++;
		else
			rd_kafka_poll(rk, 5);
		if (p->sent % 100 == 0)
			rd_kafka_poll(rk, 1);
	}
	if (rd_kafka_flush(rk, 300000) || p->acknowledged != p->sent)
		fail("producer %d: %ld of %ld records were acknowledged", p->number,
		     p->acknowledged, p->sent);
	rd_kafka_topic_destroy(t);
	rd_kafka_destroy(rk);
	return NULL;
}

/* --- the group --- */

static void note_commit(const rd_kafka_topic_partition_list_t *list)
{
	pthread_mutex_lock(&commits);
	for (int i = 0; i < list->cnt; i++) {
		const rd_kafka_topic_partition_t *at = &list->elems[i];
		if (!at->err && at->offset > committed[at->partition])
			committed[at->partition] = at->offset;
	}
	pthread_mutex_unlock(&commits);
	atomic_fetch_add(&commit_count, 1);
}

/* What the broker remembers of these partitions is no less than what it acknowledged before. */
static void check_committed(rd_kafka_t *rk, const rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);
	int64_t before[PARTITIONS];

	pthread_mutex_lock(&commits);
	memcpy(before, committed, sizeof before);
	pthread_mutex_unlock(&commits);
	if (!rd_kafka_committed(rk, list, 5000))
		for (int i = 0; i < list->cnt; i++) {
			const rd_kafka_topic_partition_t *at = &list->elems[i];
			if (!at->err && before[at->partition] > 0 &&
			    at->offset < before[at->partition])
				fail("partition %" PRId32
				     ": committed offset went back from %" PRId64 " to %" PRId64,
				     at->partition, before[at->partition], at->offset);
		}
	rd_kafka_topic_partition_list_destroy(list);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	(void)opaque;
	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		check_committed(rk, partitions);
		rd_kafka_assign(rk, partitions);
	} else {
		rd_kafka_assign(rk, NULL);
	}
}

static void commit(rd_kafka_t *rk)
{
	rd_kafka_topic_partition_list_t *list;

	if (rd_kafka_assignment(rk, &list))
		return;
	if (list->cnt && !rd_kafka_position(rk, list)) {
		int kept = 0; /* partitions of which something was read */
		for (int i = 0; i < list->cnt; i++)
			if (list->elems[i].offset >= 0)
				kept++;
		if (kept == list->cnt && !rd_kafka_commit(rk, list, 0))
			note_commit(list);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static rd_kafka_t *join(void)
{
	rd_kafka_conf_t *conf = configure();

	set(conf, "group.id", "crash");
	set(conf, "enable.auto.commit", "false");
	set(conf, "auto.offset.reset", "earliest");
	set(conf, "session.timeout.ms", "6000");
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_topic_partition_list_add(list, topic, RD_KAFKA_PARTITION_UA);
	if (rd_kafka_subscribe(rk, list))
		fail("subscribe");
	rd_kafka_topic_partition_list_destroy(list);
	return rk;
}

static void *consume(void *arg)
{
	rd_kafka_t *rk = join();
	long since_commit = 0;

	(void)arg;
	while (atomic_load(&is_reading)) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 50);
		if (m && !m->err) {
			atomic_fetch_add(&consumed_count, 1);
			since_commit++;
		}
		if (m)
			rd_kafka_message_destroy(m);
		if (since_commit >= 200) {
			commit(rk);
			since_commit = 0;
		}
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	return NULL;
}

/* --- the judgement --- */

struct reading {
	long last[PRODUCERS_MAX][PARTITIONS]; /* number of the newest record seen; -1: none */
	long seen;
};

static void judge(struct reading *r, const rd_kafka_message_t *m)
{
	char value[64];
	int producer;
	long number;

	snprintf(value, sizeof value, "%.*s", (int)m->len, (const char *)m->payload);
	if (sscanf(value, "%d %ld", &producer, &number) != 2 || producer < 0 ||
	    producer >= producer_count || number < 0 || number >= producers[producer].sent)
		fail("%" PRId32 "@%" PRId64 ": nobody wrote \"%s\"", m->partition, m->offset,
		     value);
	long *last = &r->last[producer][m->partition];
	if (number <= *last)
		fail("%" PRId32 "@%" PRId64 ": record %ld of producer %d stands behind its record "
		     "%ld: doubled or out of order",
		     m->partition, m->offset, number, producer, *last);
	if (number != *last + PARTITIONS && !(*last == -1 && number == m->partition))
		fail("%" PRId32 "@%" PRId64
		     ": between records %ld and %ld of producer %d one is missing",
		     m->partition, m->offset, *last, number, producer);
	if (producers[producer].offsets[number] != m->offset)
		fail("%" PRId32 "@%" PRId64
		     ": record %ld of producer %d was acknowledged at %" PRId64,
		     m->partition, m->offset, number, producer,
		     producers[producer].offsets[number]);
	*last = number;
	r->seen++;
}

static void read_all(struct reading *r, long expected)
{
	rd_kafka_conf_t *conf = configure();

	set(conf, "group.id", "judge");
	set(conf, "enable.auto.commit", "false");
	set(conf, "check.crcs", "true");
	set(conf, "enable.partition.eof", "true");
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
	for (int i = 0; i < PARTITIONS; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	rd_kafka_assign(rk, list);

	for (int ends = 0; ends < PARTITIONS;) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 120000);
		if (!m)
			fail("%ld of %ld records could be read, then nothing came for 120 s",
			     r->seen, expected);
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ends++;
		else if (m->err)
			fail("reading: %s", rd_kafka_message_errstr(m));
		else
			judge(r, m);
		rd_kafka_message_destroy(m);
	}
	if (r->seen != expected)
		fail("%ld of %ld acknowledged records are there", r->seen, expected);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

/* The group is empty by now. */
static void check_group(void)
{
	rd_kafka_conf_t *conf = configure();

	set(conf, "group.id", "crash");
	rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, conf);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);
	for (int i = 0; i < PARTITIONS; i++)
		rd_kafka_topic_partition_list_add(list, topic, i);
	if (rd_kafka_committed(rk, list, 120000))
		fail("the committed offsets cannot be read");
	check_committed(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_destroy(rk);
}

int main(int argc, char **argv)
{
	pthread_t consumers[CONSUMERS_MAX];
	struct reading *r = calloc(1, sizeof *r);
	long sent = 0;
	char byte;

	if (argc != 5)
		fail("usage: broker_clients HOST:PORT TOPIC PRODUCERS CONSUMERS");
	bootstrap = argv[1];
	topic = argv[2];
	producer_count = atoi(argv[3]);
	consumer_count = atoi(argv[4]);
	if (producer_count < 1 || producer_count > PRODUCERS_MAX || consumer_count < 0 ||
	    consumer_count > CONSUMERS_MAX)
		fail("1 to %d producers, 0 to %d consumers", PRODUCERS_MAX, CONSUMERS_MAX);
	atomic_store(&is_reading, true);
	for (int i = 0; i < producer_count; i++) {
		producers[i].number = i;
		producers[i].offsets = malloc(RECORDS_MAX * sizeof(int64_t));
		memset(producers[i].offsets, 0xff, RECORDS_MAX * sizeof(int64_t));
		pthread_create(&producers[i].thread, NULL, produce, &producers[i]);
	}
	for (int i = 0; i < consumer_count; i++)
		pthread_create(&consumers[i], NULL, consume, NULL);

	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	atomic_store(&is_stopping, true);
	for (int i = 0; i < producer_count; i++) {
		pthread_join(producers[i].thread, NULL);
		sent += producers[i].sent;
	}
	atomic_store(&is_reading, false);
	for (int i = 0; i < consumer_count; i++)
		pthread_join(consumers[i], NULL);
	memset(r->last, 0xff, sizeof r->last);
	read_all(r, sent);
	check_group();
	printf("acknowledged=%ld read=%ld consumed=%ld commits=%ld\n", sent, r->seen,
	       atomic_load(&consumed_count), atomic_load(&commit_count));
	return 0;
}

/* txn.c - transactions: how long a commit takes, what they cost a producer, an exactly-once copy. */
#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define WARM_UP_TRANSACTIONS 50
#define LIMIT_MS             60000

static void must(rd_kafka_error_t *error, const char *call)
{
	if (error)
		die("%s: %s", call, rd_kafka_error_string(error));
}

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk, (void)opaque;
	if (m->err)
		die("a message was lost: %s", rd_kafka_err2str(m->err));
}

/* A transactional id that nobody has had before. */
static rd_kafka_t *transactional_new(const struct options *o, int number)
{
	struct options own = *o;
	char id[64];

	snprintf(id, sizeof id, "kload-%ld-%d", (long)getpid(), number);
	own.transactional_id = id;
	own.is_idempotent = true;
	rd_kafka_t *rk = producer_new(&own, NULL, on_delivery);
	must(rd_kafka_init_transactions(rk, LIMIT_MS), "init_transactions");
	return rk;
}

static void send_message(rd_kafka_t *rk, rd_kafka_topic_t *topic, int32_t partition,
			 const void *bytes, size_t size)
{
	while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, (void *)(uintptr_t)bytes,
				size, NULL, 0, NULL)) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(rk, 1);
	}
}

static void report_cpu(const struct options *o, double cpu, double server_cpu, double millions)
{
	printf(" client_cpu_s_per_M=%.3f", cpu / millions);
	if (o->pid)
		printf(" server_cpu_s_per_M=%.3f", server_cpu / millions);
	printf("\n");
}

/* --- txn: one message into every partition, then commit --- */

struct committer {
	const struct options *o;
	pthread_t thread;
	int number;
	pthread_barrier_t *ready;
	struct latencies commits, wholes; /* of the commit, from the first message to its end */
};

static void transact(struct committer *c, rd_kafka_t *rk, rd_kafka_topic_t *topic, long i,
		     bool is_counted)
{
	const struct options *o = c->o;
	int64_t began = now_ns();

	must(rd_kafka_begin_transaction(rk), "begin_transaction");
	for (int p = 0; p < o->partitions; p++)
		send_message(rk, topic, p, payload_at(i * o->partitions + p), (size_t)o->size);
	if (rd_kafka_flush(rk, LIMIT_MS))
		die("the messages of a transaction were not delivered");
	int64_t flushed = now_ns();
	must(rd_kafka_commit_transaction(rk, LIMIT_MS), "commit_transaction");
	if (!is_counted)
		return;
	latencies_add(&c->commits, now_ns() - flushed);
	latencies_add(&c->wholes, now_ns() - began);
}

static void *commit_all(void *arg)
{
	struct committer *c = arg;
	struct options fast = *c->o;

	fast.linger_ms = "0";
	rd_kafka_t *rk = transactional_new(&fast, c->number);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, fast.topic, NULL);
	pthread_barrier_wait(c->ready);
	for (long i = -WARM_UP_TRANSACTIONS; i < c->o->rounds; i++)
		transact(c, rk, topic, i < 0 ? -i : i, i >= 0);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return NULL;
}

static void merge(struct latencies *into, struct latencies *from)
{
	for (size_t i = 0; i < from->count; i++)
		latencies_add(into, from->ns[i]);
	free(from->ns);
}

void run_transactions(const struct options *o)
{
	struct committer committers[WRITERS_MAX] = {{0}};
	struct latencies commits = {0}, wholes = {0};
	pthread_barrier_t ready;

	pthread_barrier_init(&ready, NULL, (unsigned)o->writers + 1);
	for (int i = 0; i < o->writers; i++) {
		committers[i] = (struct committer){.o = o, .number = i, .ready = &ready};
		if (pthread_create(&committers[i].thread, NULL, commit_all, &committers[i]))
			die("no thread");
	}
	pthread_barrier_wait(&ready);
	double cpu = cpu_self(), server_cpu = cpu_of(o->pid);
	int64_t start = now_ns();
	for (int i = 0; i < o->writers; i++) {
		pthread_join(committers[i].thread, NULL);
		merge(&commits, &committers[i].commits);
		merge(&wholes, &committers[i].wholes);
	}
	/* The warm-up is in the time and in the number. */
	double seconds = (double)(now_ns() - start) / 1e9;
	long all = (o->rounds + WARM_UP_TRANSACTIONS) * o->writers;
	printf("%s transactions=%ld size=%ld partitions=%d producers=%d seconds=%.3f "
	       "txns_per_s=%.1f p50_us=%.1f p99_us=%.1f whole_p50_us=%.1f whole_p99_us=%.1f",
	       o->mode, all, o->size, o->partitions, o->writers, seconds, (double)all / seconds,
	       latencies_percentile(&commits, 50), latencies_percentile(&commits, 99),
	       latencies_percentile(&wholes, 50), latencies_percentile(&wholes, 99));
	report_cpu(o, cpu_self() - cpu, cpu_of(o->pid) - server_cpu, (double)all / 1e6);
}

/* --- txn-produce and txn-copy: a commit every so many milliseconds --- */

/* wholes: of all that belongs to a commit; NULL: the commit is all of it. */
static void report(const struct options *o, int64_t start, struct latencies *commits,
		   struct latencies *wholes, double cpu, double server_cpu)
{
	double seconds = (double)(now_ns() - start) / 1e9;

	printf("%s messages=%ld size=%ld seconds=%.3f msgs_per_s=%.0f MB_per_s=%.1f commits=%zu "
	       "p50_us=%.1f p99_us=%.1f",
	       o->mode, o->messages, o->size, seconds, (double)o->messages / seconds,
	       (double)o->messages / 1e6 * (double)o->size / seconds, commits->count,
	       latencies_percentile(commits, 50), latencies_percentile(commits, 99));
	if (wholes)
		printf(" whole_p50_us=%.1f whole_p99_us=%.1f", latencies_percentile(wholes, 50),
		       latencies_percentile(wholes, 99));
	report_cpu(o, cpu_self() - cpu, cpu_of(o->pid) - server_cpu, (double)o->messages / 1e6);
}

static void commit(rd_kafka_t *rk, struct latencies *commits)
{
	int64_t began = now_ns();

	must(rd_kafka_commit_transaction(rk, LIMIT_MS), "commit_transaction");
	latencies_add(commits, now_ns() - began);
}

void run_transactional_produce(const struct options *o)
{
	rd_kafka_t *rk = transactional_new(o, 0);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, o->topic, NULL);
	double cpu = cpu_self(), server_cpu = cpu_of(o->pid);
	int64_t start = now_ns(), began = start;
	struct latencies commits = {0};

	must(rd_kafka_begin_transaction(rk), "begin_transaction");
	for (long i = 0; i < o->messages; i++) {
		send_message(rk, topic, (int32_t)(i % o->partitions), payload_at(i),
			     (size_t)o->size);
		if (i % 256 == 0)
			rd_kafka_poll(rk, 0);
		if (i % 64 || now_ns() - began < o->commit_ms * INT64_C(1000000))
			continue;
		commit(rk, &commits);
		must(rd_kafka_begin_transaction(rk), "begin_transaction");
		began = now_ns();
	}
	commit(rk, &commits);
	report(o, start, &commits, NULL, cpu, server_cpu);
	free(commits.ns);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
}

/* The positions of the consumer become part of the transaction, which is then committed. */
static void commit_positions(rd_kafka_t *rk, rd_kafka_t *consumer, struct latencies *commits,
			     struct latencies *wholes)
{
	int64_t began = now_ns();
	rd_kafka_consumer_group_metadata_t *group = rd_kafka_consumer_group_metadata(consumer);
	rd_kafka_topic_partition_list_t *list;

	if (rd_kafka_assignment(consumer, &list) || rd_kafka_position(consumer, list))
		die("no positions");
	must(rd_kafka_send_offsets_to_transaction(rk, list, group, LIMIT_MS),
	     "send_offsets_to_transaction");
	commit(rk, commits);
	latencies_add(wholes, now_ns() - began);
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_group_metadata_destroy(group);
}

/* The source was written before. */
void run_transactional_copy(const struct options *o)
{
	struct options committed = *o;
	int64_t start = 0, began = 0;
	struct latencies commits = {0}, wholes = {0};
	double cpu = 0, server_cpu = 0;
	long count = 0;

	committed.isolation = "read_committed";
	rd_kafka_t *consumer = consumer_new(&committed), *rk = transactional_new(o, 0);
	rd_kafka_topic_t *to = rd_kafka_topic_new(rk, o->target, NULL);
	rd_kafka_poll_set_consumer(consumer);
	consumer_assign(consumer, o, RD_KAFKA_OFFSET_BEGINNING);
	must(rd_kafka_begin_transaction(rk), "begin_transaction");
	while (count < o->messages) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, LIMIT_MS);
		if (!m || m->err)
			die("consume: %s", m ? rd_kafka_message_errstr(m) : "nothing came");
		if (!count) {
			start = began = now_ns();
			cpu = cpu_self();
			server_cpu = cpu_of(o->pid);
		}
		send_message(rk, to, m->partition, m->payload, m->len);
		rd_kafka_message_destroy(m);
		if (++count % 64 == 0)
			rd_kafka_poll(rk, 0);
		if (count == o->messages ||
		    (count % 64 == 0 && now_ns() - began > o->commit_ms * INT64_C(1000000))) {
			commit_positions(rk, consumer, &commits, &wholes);
			must(rd_kafka_begin_transaction(rk), "begin_transaction");
			began = now_ns();
		}
	}
	report(o, start, &commits, &wholes, cpu, server_cpu);
	free(commits.ns);
	free(wholes.ns);
	rd_kafka_topic_destroy(to);
	rd_kafka_destroy(rk);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
}

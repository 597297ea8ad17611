/* latency.c - how long a message takes: one at a time, and at a fixed rate. */
#include "load.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define WARM_UP_ROUNDS 200
#define UNCOUNTED_NS   INT64_C(2000000000)

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk, (void)opaque;
	if (m->err)
		die("a message was lost: %s", rd_kafka_err2str(m->err));
}

/* The payload begins with the time at which the message was due. */
static void send_message(rd_kafka_t *rk, rd_kafka_topic_t *topic, const struct options *o, long i,
			 int64_t due)
{
	char bytes[65536];
	size_t size = o->size > (long)sizeof bytes ? sizeof bytes : (size_t)o->size;

	memcpy(bytes, payload_at(i), size);
	memcpy(bytes, &due, sizeof due);
	while (rd_kafka_produce(topic, (int32_t)(i % o->partitions), RD_KAFKA_MSG_F_COPY, bytes,
				size, NULL, 0, NULL)) {
		if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
		rd_kafka_poll(rk, 1);
	}
	rd_kafka_poll(rk, 0);
}

static int64_t receive_due(rd_kafka_t *consumer, int timeout_ms)
{
	rd_kafka_message_t *m = rd_kafka_consumer_poll(consumer, timeout_ms);
	int64_t due = 0;

	if (m && m->err)
		die("consume: %s", rd_kafka_message_errstr(m));
	if (m) {
		memcpy(&due, m->payload, sizeof due);
		rd_kafka_message_destroy(m);
	}
	return due;
}

/* The end of a partition. A topic that was just created may have no leader yet. */
static int64_t high_watermark(rd_kafka_t *consumer, const struct options *o, int32_t partition)
{
	int64_t give_up_ns = now_ns() + 10 * INT64_C(1000000000), low, high;

	while (rd_kafka_query_watermark_offsets(consumer, o->topic, partition, &low, &high, 10000))
		if (now_ns() > give_up_ns)
			die("no watermark of partition %d", partition);
	return high;
}

/* A consumer that stands at the end of every partition: it has seen one message of each. */
static rd_kafka_t *consumer_at_end(const struct options *o, rd_kafka_t *producer,
				   rd_kafka_topic_t *topic)
{
	rd_kafka_t *consumer = consumer_new(o);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(o->partitions);

	rd_kafka_poll_set_consumer(consumer);
	for (int i = 0; i < o->partitions; i++)
		rd_kafka_topic_partition_list_add(list, o->topic, i)->offset =
			high_watermark(consumer, o, i);
	rd_kafka_assign(consumer, list);
	rd_kafka_topic_partition_list_destroy(list);
	for (int i = 0; i < o->partitions; i++)
		send_message(producer, topic, o, i, now_ns());
	for (int i = 0; i < o->partitions; i++)
		if (!receive_due(consumer, 10000))
			die("the first messages did not come");
	return consumer;
}

static void report(const struct options *o, struct latencies *l, double cpu, double server_cpu,
		   double elapsed_s)
{
	double millions = (double)l->count / 1e6;

	printf("%s messages=%zu size=%ld seconds=%.1f p50_us=%.1f p99_us=%.1f p999_us=%.1f "
	       "client_cpu_s_per_M=%.2f",
	       o->mode, l->count, o->size, elapsed_s, latencies_percentile(l, 50),
	       latencies_percentile(l, 99), latencies_percentile(l, 99.9), cpu / millions);
	if (o->pid)
		printf(" server_cpu_s_per_M=%.2f", server_cpu / millions);
	printf("\n");
}

void run_round_trip(const struct options *o)
{
	struct options fast = *o;
	struct latencies l = {0};

	fast.linger_ms = "0";
	rd_kafka_t *producer = producer_new(&fast, NULL, on_delivery);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(producer, o->topic, NULL);
	rd_kafka_t *consumer = consumer_at_end(o, producer, topic);
	double cpu = 0, server_cpu = 0;
	int64_t start = 0;

	for (long i = -WARM_UP_ROUNDS; i < o->rounds; i++) {
		if (i == 0) {
			start = now_ns();
			cpu = cpu_self();
			server_cpu = cpu_of(o->pid);
		}
		int64_t sent = now_ns();
		send_message(producer, topic, o, i < 0 ? -i : i, sent);
		if (receive_due(consumer, 10000) != sent)
			die("round %ld: the message did not come back", i);
		if (i >= 0)
			latencies_add(&l, now_ns() - sent);
	}
	report(o, &l, cpu_self() - cpu, cpu_of(o->pid) - server_cpu,
	       (double)(now_ns() - start) / 1e9);
	rd_kafka_flush(producer, 10000);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(producer);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
}

/* --- rate --- */

struct sender {
	const struct options *o;
	rd_kafka_t *producer;
	rd_kafka_topic_t *topic;
	int64_t start;
	long count;
};

static void *send_at_rate(void *arg)
{
	struct sender *s = arg;

	for (long i = 0; i < s->count; i++) {
		int64_t due = s->start + i * INT64_C(1000000000) / s->o->rate;
		for (int64_t left = due - now_ns(); left > 0; left = due - now_ns())
			nanosleep(&(struct timespec){0, left < 1000000 ? (long)left : 1000000},
				  NULL);
		send_message(s->producer, s->topic, s->o, i, due);
	}
	rd_kafka_flush(s->producer, 60000);
	return NULL;
}

void run_rate(const struct options *o)
{
	struct latencies l = {0};
	struct sender s = {.o = o, .count = o->rate * o->seconds};
	pthread_t thread;

	s.producer = producer_new(o, NULL, on_delivery);
	s.topic = rd_kafka_topic_new(s.producer, o->topic, NULL);
	rd_kafka_t *consumer = consumer_at_end(o, s.producer, s.topic);
	double cpu = cpu_self(), server_cpu = cpu_of(o->pid);
	s.start = now_ns();
	if (pthread_create(&thread, NULL, send_at_rate, &s))
		die("no thread");
	for (long i = 0; i < s.count; i++) {
		int64_t due = receive_due(consumer, 60000);
		if (!due)
			die("%ld of %ld messages came", i, s.count);
		if (due - s.start > UNCOUNTED_NS)
			latencies_add(&l, now_ns() - due);
	}
	pthread_join(thread, NULL);
	/* CPU of all messages, told per counted one. */
	double counted = (double)l.count / (double)s.count;
	report(o, &l, (cpu_self() - cpu) * counted, (cpu_of(o->pid) - server_cpu) * counted,
	       (double)(now_ns() - s.start) / 1e9);
	rd_kafka_topic_destroy(s.topic);
	rd_kafka_destroy(s.producer);
	rd_kafka_consumer_close(consumer);
	rd_kafka_destroy(consumer);
}

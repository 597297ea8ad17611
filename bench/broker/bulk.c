/* bulk.c - as much as goes: produce and consume. */
#include "load.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void run_create(const struct options *o)
{
	char why[512];
	rd_kafka_t *rk = producer_new(o, NULL, NULL);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_NewTopic_t *topic =
		rd_kafka_NewTopic_new(o->topic, o->partitions, 1, why, sizeof why);
	size_t count;

	if (!topic)
		die("%s", why);
	rd_kafka_CreateTopics(rk, &topic, 1, NULL, queue);
	rd_kafka_event_t *event = rd_kafka_queue_poll(queue, 30000);
	const rd_kafka_CreateTopics_result_t *result =
		event ? rd_kafka_event_CreateTopics_result(event) : NULL;
	if (!result || rd_kafka_event_error(event))
		die("create: %s", event ? rd_kafka_event_error_string(event) : "no answer in 30 s");
	const rd_kafka_topic_result_t **topics =
		rd_kafka_CreateTopics_result_topics(result, &count);
	if (rd_kafka_topic_result_error(topics[0]))
		die("create: %s", rd_kafka_topic_result_error_string(topics[0]));
	rd_kafka_event_destroy(event);
	rd_kafka_NewTopic_destroy(topic);
	rd_kafka_queue_destroy(queue);
	rd_kafka_destroy(rk);
}

/* --- produce --- */

struct writer {
	const struct options *o;
	pthread_t thread;
	long first, messages, delivered;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct writer *w = opaque;

	(void)rk;
	if (m->err)
		die("a message was lost: %s", rd_kafka_err2str(m->err));
	w->delivered++;
}

static void *write_messages(void *arg)
{
	struct writer *w = arg;
	const struct options *o = w->o;
	rd_kafka_t *rk = producer_new(o, w, on_delivery);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, o->topic, NULL);

	for (long i = w->first; i < w->first + w->messages; i++) {
		void *payload = (void *)(uintptr_t)payload_at(i);
		while (rd_kafka_produce(topic, (int32_t)(i % o->partitions), RD_KAFKA_MSG_F_COPY,
					payload, (size_t)o->size, NULL, 0, NULL)) {
			if (rd_kafka_last_error() != RD_KAFKA_RESP_ERR__QUEUE_FULL)
				die("produce: %s", rd_kafka_err2str(rd_kafka_last_error()));
			rd_kafka_poll(rk, 10);
		}
		if (i % 256 == 0)
			rd_kafka_poll(rk, 0);
	}
	if (rd_kafka_flush(rk, 120000) || w->delivered != w->messages)
		die("%ld of %ld messages were delivered", w->delivered, w->messages);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return NULL;
}

static void report(const struct options *o, double seconds, double cpu, double server_cpu)
{
	double millions = (double)o->messages / 1e6;

	printf("%s messages=%ld size=%ld seconds=%.3f msgs_per_s=%.0f MB_per_s=%.1f "
	       "client_cpu_s_per_M=%.3f",
	       o->mode, o->messages, o->size, seconds, (double)o->messages / seconds,
	       millions * (double)o->size / seconds, cpu / millions);
	if (o->pid)
		printf(" server_cpu_s_per_M=%.3f", server_cpu / millions);
	printf("\n");
}

void run_produce(const struct options *o)
{
	struct writer writers[WRITERS_MAX] = {{0}};
	double cpu = cpu_self(), server_cpu = cpu_of(o->pid);
	int64_t start = now_ns();
	long next = 0;

	for (int i = 0; i < o->writers; i++) {
		long end = o->messages * (i + 1) / o->writers;
		writers[i] = (struct writer){.o = o, .first = next, .messages = end - next};
		next = end;
		if (pthread_create(&writers[i].thread, NULL, write_messages, &writers[i]))
			die("no thread");
	}
	for (int i = 0; i < o->writers; i++)
		pthread_join(writers[i].thread, NULL);
	report(o, (double)(now_ns() - start) / 1e9, cpu_self() - cpu, cpu_of(o->pid) - server_cpu);
}

/* --- consume --- */

void run_consume(const struct options *o)
{
	rd_kafka_t *rk = consumer_new(o);
	rd_kafka_queue_t *queue;
	rd_kafka_message_t *batch[1000];
	int64_t first = 0, asked = now_ns(), start = 0;
	double cpu = 0, server_cpu = 0;
	long count = 0;

	rd_kafka_poll_set_consumer(rk);
	queue = rd_kafka_queue_get_consumer(rk);
	consumer_assign(rk, o, RD_KAFKA_OFFSET_BEGINNING);
	while (count < o->messages) {
		ssize_t n = rd_kafka_consume_batch_queue(queue, 1000, batch, 1000);
		if (n > 0 && !first) {
			first = start = now_ns();
			cpu = cpu_self();
			server_cpu = cpu_of(o->pid);
		}
		for (ssize_t i = 0; i < n; i++) {
			if (batch[i]->err && batch[i]->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
				die("consume: %s", rd_kafka_message_errstr(batch[i]));
			if (!batch[i]->err && batch[i]->len != (size_t)o->size)
				die("a message of %zu bytes instead of %ld", batch[i]->len,
				    o->size);
			count += !batch[i]->err;
			rd_kafka_message_destroy(batch[i]);
		}
		if (!n && now_ns() - (first ? first : asked) > INT64_C(60000000000))
			die("%ld of %ld messages came in 60 s", count, o->messages);
	}
	report(o, (double)(now_ns() - start) / 1e9, cpu_self() - cpu, cpu_of(o->pid) - server_cpu);
	rd_kafka_queue_destroy(queue);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

/* load.h - the pieces of kload, a load generator over the public API of librdkafka.
 *
 * It measures brokers from outside, with the client that most programs use. Whatever answers at the
 * bootstrap address gets the same bytes in the same way. Sizes are decimal, latencies microseconds.
 */
#ifndef BENCH_BROKER_LOAD_H
#define BENCH_BROKER_LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <librdkafka/rdkafka.h>

#define PROPERTIES_MAX 32
#define WRITERS_MAX    16

struct options {
	const char *mode, *bootstrap, *topic, *acks, *codec, *linger_ms;
	const char *target;                     /* of a copy */
	const char *transactional_id;           /* of a producer; NULL: none */
	const char *isolation;                  /* of a consumer; NULL: the library's */
	const char *properties[PROPERTIES_MAX]; /* key=value for every client */
	size_t property_count;
	int partitions, writers;
	bool is_idempotent;
	long messages, size, rounds, rate, seconds, commit_ms;
	long pid; /* of the server, whose CPU time is told; 0: none */
};

/* Exits with a message on bad usage. */
void options_parse(struct options *o, int argc, char **argv);
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

/* A producer (with delivery reports to on_delivery, opaque o) or a consumer. */
rd_kafka_t *producer_new(const struct options *o, void *opaque,
			 void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *));
rd_kafka_t *consumer_new(const struct options *o);
/* Assigns all partitions of the topic; at: an offset, or RD_KAFKA_OFFSET_BEGINNING or _END. */
void consumer_assign(rd_kafka_t *consumer, const struct options *o, int64_t at);

/* size bytes of text that compresses to about half; the same ones for the same i. */
void payload_init(long size);
const void *payload_at(int64_t i);

int64_t now_ns(void);
/* Seconds of CPU that this process, or that one, has used. */
double cpu_self(void);
double cpu_of(long pid);

/* Latencies, sorted when asked. */
struct latencies {
	int64_t *ns;
	size_t count, cap;
};
void latencies_add(struct latencies *l, int64_t ns);
/* p in 0..100, microseconds. */
double latencies_percentile(struct latencies *l, double p);

/* The modes; each prints one line key=value ... */
void run_create(const struct options *o);
void run_produce(const struct options *o);
void run_consume(const struct options *o);
void run_round_trip(const struct options *o);
void run_rate(const struct options *o);
void run_transactions(const struct options *o);
void run_transactional_produce(const struct options *o);
void run_transactional_copy(const struct options *o);

#endif

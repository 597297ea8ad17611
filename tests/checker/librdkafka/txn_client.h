/* txn_client.h - the pieces of txn_client, which works with transactions through librdkafka.
 *
 * Its modes write what they did and saw as lines of a history (README.md of tests/checker) to standard
 * output, or copy, fill and verify topics. Every mode that runs on ends when standard input does. One
 * thread; the library has its own.
 */
#ifndef TESTS_CHECKER_TXN_CLIENT_H
#define TESTS_CHECKER_TXN_CLIENT_H

#include <librdkafka/rdkafka.h>
#include <stdbool.h>
#include <stdint.h>

#define PARTITIONS_MAX 64

struct options {
	const char *bootstrap, *topic, *to, *name, *id, *group, *isolation;
	int partitions;
	int64_t base;       /* of the values that this process sends */
	int64_t count;      /* of messages; of a transaction's when copying */
	int64_t timeout_ms; /* of a transaction */
	uint64_t seed;
	bool subscribes; /* work: be a member of the group, else read all partitions alone */
	bool is_member;  /* copy: send the member's generation with the offsets */
	bool is_apart; /* copy: commit offsets behind the transactions, now and then: records are doubled */
	bool keeps_order; /* copy, verify: a record stays in its partition */
};

/* The modes. */
int run_work(const struct options *o);
int run_read(const struct options *o);
int run_seed(const struct options *o);
int run_copy(const struct options *o);
int run_verify(const struct options *o);
int run_drive(const struct options *o);

/* --- shared --- */

void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
/* One line of the history: time, process and event come first; format is the rest, from the comma on. */
void line(const struct options *o, const char *event, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
int64_t now_ns(void);
/* Has standard input ended? Waits for nothing. */
bool is_stopping(void);
/* xorshift; 0 to below - 1 */
int roll(uint64_t *random, int below);

rd_kafka_conf_t *conf_new(const struct options *o);
void conf_set(rd_kafka_conf_t *conf, const char *key, const char *value);
void conf_set_number(rd_kafka_conf_t *conf, const char *key, int64_t value);
rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf);
/* All partitions of the topic, each at this offset. Release with its destroy function. */
rd_kafka_topic_partition_list_t *partitions_new(const struct options *o, int64_t offset);
/* A reader of the whole topic, from its beginning, that is told of the ends; and its release. */
rd_kafka_t *reader_new(const struct options *o);
void reader_free(rd_kafka_t *rk);

/* --- a transactional producer --- */

enum outcome { OUTCOME_OK, OUTCOME_FAIL, OUTCOME_INFO };

/* The producer, or NULL when standard input ended before it could be initialised. */
rd_kafka_t *producer_new(const struct options *o, void *opaque,
			 void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *));
/* Ends the transaction and says what became of it: OUTCOME_OK is committed. A failed commit is aborted where that
 * is possible. When the producer is of no more use it is destroyed and *rk set to NULL. why: 256 bytes. */
enum outcome producer_end(rd_kafka_t **rk, bool commits, char *why);
void producer_free(rd_kafka_t **rk);
/* The offsets of a consumer's positions; those of partitions of which nothing was read are left out. */
rd_kafka_topic_partition_list_t *positions_new(rd_kafka_t *consumer);
/* In a rebalance callback. Each partition begins at what is committed, or at offset 0: given as a number. What librdkafka looks up
 * by itself, as auto.offset.reset wants, it looks up once more half a second later when somebody has sought meanwhile, and
 * goes back to the beginning without a word (2.0.2, "outdated offset response"). */
void assign_at_committed(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *partitions);
/* Sets every assigned partition back to what is committed; false: it could not be done. */
bool rewind_consumer(rd_kafka_t *consumer);

#endif

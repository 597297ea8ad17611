/* copy.c - fill a topic, copy it exactly once, look whether that worked. */
#include "txn_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- seed: the value is "PARTITION NUMBER" --- */

static void on_seeded(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	int64_t *delivered = opaque;

	(void)rk;
	if (m->err)
		fail("a message was not delivered: %s", rd_kafka_err2str(m->err));
	++*delivered;
}

int run_seed(const struct options *o)
{
	int64_t delivered = 0, total = o->count * o->partitions;
	rd_kafka_conf_t *conf = conf_new(o);
	char value[64];

	conf_set(conf, "enable.idempotence", "true");
	conf_set(conf, "linger.ms", "20");
	rd_kafka_conf_set_opaque(conf, &delivered);
	rd_kafka_conf_set_dr_msg_cb(conf, on_seeded);
	rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, conf);
	rd_kafka_topic_t *topic = rd_kafka_topic_new(rk, o->topic, NULL);
	for (int64_t i = 0; i < total; i++) {
		int32_t partition = (int32_t)(i % o->partitions);
		int size = snprintf(value, sizeof value, "%" PRId32 " %" PRId64, partition,
				    i / o->partitions);
		while (rd_kafka_produce(topic, partition, RD_KAFKA_MSG_F_COPY, value, (size_t)size,
					NULL, 0, NULL))
			rd_kafka_poll(rk, 10);
		if (i % 1000 == 0)
			rd_kafka_poll(rk, 0);
	}
	if (rd_kafka_flush(rk, 120000) || delivered != total)
		fail("%" PRId64 " of %" PRId64 " messages were delivered", delivered, total);
	rd_kafka_topic_destroy(topic);
	rd_kafka_destroy(rk);
	return 0;
}

/* --- copy --- */

struct copier {
	const struct options *o;
	rd_kafka_t *producer, *consumer;
	bool has_failed;
	long commits, aborts, copied, failures;
};

static void on_copied(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk, (void)m, (void)opaque; /* the commit fails when one was not delivered */
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct copier *c = opaque;

	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		assign_at_committed(rk, partitions);
		return;
	}
	c->has_failed = true;
	rd_kafka_assign(rk, NULL);
}

static void start_consumer(struct copier *c)
{
	rd_kafka_conf_t *conf = conf_new(c->o);
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

	conf_set(conf, "group.id", c->o->group);
	conf_set(conf, "enable.auto.commit", "false");
	conf_set(conf, "auto.offset.reset", "earliest");
	conf_set(conf, "isolation.level", "read_committed");
	conf_set(conf, "session.timeout.ms", "6000");
	conf_set(conf, "heartbeat.interval.ms", "500");
	rd_kafka_conf_set_opaque(conf, c);
	rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	c->consumer = client_new(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(c->consumer);
	rd_kafka_topic_partition_list_add(topics, c->o->topic, RD_KAFKA_PARTITION_UA);
	rd_kafka_subscribe(c->consumer, topics);
	rd_kafka_topic_partition_list_destroy(topics);
}

/* Its copy goes to the same partition, or, when order does not matter, to another. */
static void copy_record(struct copier *c, const rd_kafka_message_t *m)
{
	int32_t shift = c->o->keeps_order ? 0 : (int32_t)(m->offset % c->o->partitions);
	int32_t to = (m->partition + shift) % c->o->partitions;
	rd_kafka_resp_err_t err;

	while ((err = rd_kafka_producev(c->producer, RD_KAFKA_V_TOPIC(c->o->to),
					RD_KAFKA_V_PARTITION(to),
					RD_KAFKA_V_VALUE(m->payload, m->len),
					RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
					RD_KAFKA_V_END)) == RD_KAFKA_RESP_ERR__QUEUE_FULL)
		rd_kafka_poll(c->producer, 10);
	if (err)
		c->has_failed = true;
}

static void send_offsets(struct copier *c)
{
	rd_kafka_topic_partition_list_t *list = positions_new(c->consumer);
	rd_kafka_consumer_group_metadata_t *group =
		c->o->is_member ? rd_kafka_consumer_group_metadata(c->consumer)
				: rd_kafka_consumer_group_metadata_new(c->o->group);
	rd_kafka_error_t *error =
		rd_kafka_send_offsets_to_transaction(c->producer, list, group, 10000);

	if (error) {
		fprintf(stderr, "offsets: %s\n", rd_kafka_error_string(error));
		c->has_failed = true;
		rd_kafka_error_destroy(error);
	}
	rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
}

static void commit_apart(struct copier *c)
{
	rd_kafka_topic_partition_list_t *list = positions_new(c->consumer);

	if (list->cnt)
		rd_kafka_commit(c->consumer, list, 0);
	rd_kafka_topic_partition_list_destroy(list);
}

static void end_transaction(struct copier *c, long records)
{
	char why[256];

	if (!c->has_failed && !c->o->is_apart)
		send_offsets(c);
	enum outcome outcome = producer_end(&c->producer, !c->has_failed, why);
	if (outcome == OUTCOME_OK) {
		c->commits++;
		c->copied += records;
		if (c->o->is_apart && c->commits % 5 == 0)
			commit_apart(c);
		return;
	}
	fprintf(stderr, "%s: a transaction of %ld records ended without success: %s\n", c->o->name,
		records, why);
	c->aborts++;
	if (rewind_consumer(c->consumer))
		return;
	rd_kafka_consumer_close(c->consumer);
	rd_kafka_destroy(c->consumer);
	start_consumer(c);
}

static void copy_transaction(struct copier *c, rd_kafka_message_t *first)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(c->producer);
	rd_kafka_message_t *m = first;
	long records = 0;

	c->has_failed = error != NULL;
	if (error)
		rd_kafka_error_destroy(error);
	while (m && !c->has_failed) {
		if (!m->err) {
			copy_record(c, m);
			records++;
		}
		rd_kafka_message_destroy(m);
		m = records < c->o->count ? rd_kafka_consumer_poll(c->consumer, 200) : NULL;
	}
	if (m)
		rd_kafka_message_destroy(m);
	end_transaction(c, records);
}

int run_copy(const struct options *o)
{
	struct copier c = {.o = o};

	if (!o->to)
		fail("-T is needed");
	start_consumer(&c);
	while (!is_stopping()) {
		if (!c.producer)
			c.producer = producer_new(o, &c, on_copied);
		if (!c.producer)
			break;
		rd_kafka_message_t *m = rd_kafka_consumer_poll(c.consumer, 200);
		if (m && m->err) {
			rd_kafka_message_destroy(m);
			m = NULL;
		}
		if (m)
			copy_transaction(&c, m);
		else if (o->is_apart)
			commit_apart(&c);
	}
	printf("copied=%ld commits=%ld aborts=%ld\n", c.copied, c.commits, c.aborts);
	producer_free(&c.producer);
	reader_free(c.consumer);
	return 0;
}

/* --- verify --- */

struct tally {
	unsigned char *seen; /* by partition and number */
	int64_t last[PARTITIONS_MAX];
	int64_t doubled, disordered, strange;
};

static void judge(const struct options *o, struct tally *t, const rd_kafka_message_t *m)
{
	char value[64];
	int32_t partition;
	int64_t number;

	snprintf(value, sizeof value, "%.*s", (int)m->len, (const char *)m->payload);
	if (sscanf(value, "%" SCNd32 " %" SCNd64, &partition, &number) != 2 || partition < 0 ||
	    partition >= o->partitions || number < 0 || number >= o->count) {
		t->strange++;
		return;
	}
	unsigned char *seen = &t->seen[partition * o->count + number];
	t->doubled += *seen;
	*seen = 1;
	if (o->keeps_order && (partition != m->partition || number <= t->last[partition]))
		t->disordered++;
	t->last[partition] = number;
}

int run_verify(const struct options *o)
{
	struct tally t = {.seen = calloc((size_t)(o->count * o->partitions), 1)};
	int64_t missing = 0;
	int ends = 0;

	memset(t.last, 0xff, sizeof t.last);
	rd_kafka_t *rk = reader_new(o);
	while (ends < o->partitions) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 60000);
		if (!m)
			fail("nothing came for 60 s");
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ends++;
		else if (!m->err)
			judge(o, &t, m);
		rd_kafka_message_destroy(m);
	}
	for (int64_t i = 0; i < o->count * o->partitions; i++)
		missing += !t.seen[i];
	printf("messages=%" PRId64 " missing=%" PRId64 " doubled=%" PRId64 " disordered=%" PRId64
	       " strange=%" PRId64 "\n",
	       o->count * o->partitions, missing, t.doubled, t.disordered, t.strange);
	reader_free(rk);
	free(t.seen);
	return missing || t.doubled || t.disordered || t.strange;
}

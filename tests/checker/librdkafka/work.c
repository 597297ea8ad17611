/* work.c - one worker: transaction after transaction, and the reader of the end. */
#include "txn_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define GOT_MAX 64 /* records of one poll */

struct record {
	int32_t partition;
	int64_t offset, value;
};

struct worker {
	const struct options *o;
	rd_kafka_t *producer, *consumer;
	uint64_t random;
	int64_t n, next_value;
	bool is_in_op, has_failed; /* the operation that is under way has to be aborted */
	struct record got[GOT_MAX];
	int got_count, op_records;
};

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	struct worker *w = opaque;
	int64_t value = (int64_t)(intptr_t)m->_private;

	(void)rk;
	if (m->err)
		line(w->o, "nack", ",\"v\":%" PRId64 ",\"err\":\"%s\"", value,
		     rd_kafka_err2name(m->err));
	else
		line(w->o, "ack", ",\"at\":%" PRId32 ",\"v\":%" PRId64 ",\"o\":%" PRId64,
		     m->partition, value, m->offset);
}

/* Writes what was read since the last time. */
static void tell_records(struct worker *w)
{
	char text[GOT_MAX * 72], *at = text, op[32] = "";

	if (!w->got_count)
		return;
	for (int i = 0; i < w->got_count; i++)
		at += sprintf(at, "%s[%" PRId32 ",%" PRId64 ",%" PRId64 "]", i ? "," : "",
			      w->got[i].partition, w->got[i].offset, w->got[i].value);
	if (w->is_in_op)
		snprintf(op, sizeof op, ",\"n\":%" PRId64, w->n);
	line(w->o, "poll", "%s,\"got\":[%s]", op, text);
	w->op_records += w->got_count;
	w->got_count = 0;
}

/* Positions of these partitions are no longer a consequence of what was read. */
static void tell_reset(struct worker *w, const rd_kafka_topic_partition_list_t *list)
{
	char text[PARTITIONS_MAX * 12], *at = text;

	tell_records(w);
	*at = '\0';
	for (int i = 0; i < list->cnt && i < PARTITIONS_MAX; i++)
		at += sprintf(at, "%s%" PRId32, i ? "," : "", list->elems[i].partition);
	line(w->o, "reset", ",\"at\":[%s]", text);
}

static void on_rebalance(rd_kafka_t *rk, rd_kafka_resp_err_t err,
			 rd_kafka_topic_partition_list_t *partitions, void *opaque)
{
	struct worker *w = opaque;

	tell_reset(w, partitions);
	if (err == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
		assign_at_committed(rk, partitions);
		return;
	}
	w->has_failed = true; /* what was read of them may be another member's already */
	rd_kafka_assign(rk, NULL);
}

static void start_consumer(struct worker *w)
{
	rd_kafka_conf_t *conf = conf_new(w->o);

	conf_set(conf, "group.id", w->o->group);
	conf_set(conf, "enable.auto.commit", "false");
	conf_set(conf, "auto.offset.reset", "earliest");
	conf_set(conf, "isolation.level", w->o->isolation);
	conf_set(conf, "session.timeout.ms", "6000");
	conf_set(conf, "heartbeat.interval.ms", "500");
	conf_set(conf, "fetch.wait.max.ms", "100");
	rd_kafka_conf_set_opaque(conf, w);
	if (w->o->subscribes)
		rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
	w->consumer = client_new(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(w->consumer);
	rd_kafka_topic_partition_list_t *list = partitions_new(w->o, RD_KAFKA_OFFSET_BEGINNING);
	tell_reset(w, list);
	if (w->o->subscribes) {
		rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);
		rd_kafka_topic_partition_list_add(topics, w->o->topic, RD_KAFKA_PARTITION_UA);
		rd_kafka_subscribe(w->consumer, topics);
		rd_kafka_topic_partition_list_destroy(topics);
	} else {
		rd_kafka_assign(w->consumer, list);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void take_record(struct worker *w, const rd_kafka_message_t *m)
{
	char value[32];

	snprintf(value, sizeof value, "%.*s", (int)m->len, (const char *)m->payload);
	w->got[w->got_count++] = (struct record){m->partition, m->offset, atoll(value)};
}

static void poll_records(struct worker *w, int most)
{
	for (int i = 0; i < most && !w->has_failed; i++) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(w->consumer, i ? 0 : 30);
		if (!m)
			break;
		if (!m->err)
			take_record(w, m);
		rd_kafka_message_destroy(m);
	}
	tell_records(w);
}

static void send_record(struct worker *w)
{
	int64_t value = w->o->base + w->next_value++;
	int32_t partition = roll(&w->random, w->o->partitions);
	char text[32];
	int size = snprintf(text, sizeof text, "%" PRId64, value);

	line(w->o, "send", ",\"n\":%" PRId64 ",\"at\":%" PRId32 ",\"v\":%" PRId64, w->n, partition,
	     value);
	rd_kafka_resp_err_t err = rd_kafka_producev(
		w->producer, RD_KAFKA_V_TOPIC(w->o->topic), RD_KAFKA_V_PARTITION(partition),
		RD_KAFKA_V_VALUE(text, (size_t)size), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
		RD_KAFKA_V_OPAQUE((void *)(intptr_t)value), RD_KAFKA_V_END);
	if (err) {
		line(w->o, "nack", ",\"v\":%" PRId64 ",\"err\":\"%s\"", value,
		     rd_kafka_err2name(err));
		w->has_failed = true;
	}
	rd_kafka_poll(w->producer, 0);
}

/* {"0":5,"1":7} */
static void offsets_text(char *at, const rd_kafka_topic_partition_list_t *list)
{
	const char *between = "";

	at += sprintf(at, "{");
	for (int i = 0; i < list->cnt && i < PARTITIONS_MAX; i++) {
		const rd_kafka_topic_partition_t *p = &list->elems[i];
		at += sprintf(at, "%s\"%" PRId32 "\":%" PRId64, between, p->partition,
			      p->offset < 0 ? -1 : p->offset);
		between = ",";
	}
	sprintf(at, "}");
}

static void send_offsets(struct worker *w)
{
	rd_kafka_topic_partition_list_t *list = positions_new(w->consumer);
	rd_kafka_consumer_group_metadata_t *group =
		w->o->subscribes ? rd_kafka_consumer_group_metadata(w->consumer)
				 : rd_kafka_consumer_group_metadata_new(w->o->group);
	char text[PARTITIONS_MAX * 32];

	if (list->cnt && group) {
		offsets_text(text, list);
		line(w->o, "offsets", ",\"n\":%" PRId64 ",\"group\":\"%s\",\"at\":%s", w->n,
		     w->o->group, text);
		rd_kafka_error_t *error =
			rd_kafka_send_offsets_to_transaction(w->producer, list, group, 10000);
		if (error) {
			line(w->o, "note", ",\"text\":\"offsets %s\"", rd_kafka_error_name(error));
			w->has_failed = true;
			rd_kafka_error_destroy(error);
		}
	}
	if (group)
		rd_kafka_consumer_group_metadata_destroy(group);
	rd_kafka_topic_partition_list_destroy(list);
}

static void tell_committed(struct worker *w)
{
	rd_kafka_topic_partition_list_t *list = partitions_new(w->o, RD_KAFKA_OFFSET_INVALID);
	int64_t asked = now_ns();
	char text[PARTITIONS_MAX * 32];
	bool is_complete = !rd_kafka_committed(w->consumer, list, 5000);

	for (int i = 0; i < list->cnt; i++)
		is_complete = is_complete && !list->elems[i].err;
	if (is_complete) {
		offsets_text(text, list);
		line(w->o, "committed", ",\"group\":\"%s\",\"t0\":%" PRId64 ",\"at\":%s",
		     w->o->group, asked, text);
	}
	rd_kafka_topic_partition_list_destroy(list);
}

static void fill_op(struct worker *w)
{
	int steps = 1 + roll(&w->random, 5);

	for (int i = 0; i < steps && !w->has_failed; i++)
		if (roll(&w->random, 3))
			send_record(w);
		else
			poll_records(w, 1 + roll(&w->random, GOT_MAX));
	if (!w->has_failed && (w->o->subscribes ? w->op_records > 0 : !roll(&w->random, 3)))
		send_offsets(w);
}

static void rewind_op(struct worker *w)
{
	rd_kafka_topic_partition_list_t *all = partitions_new(w->o, 0);

	tell_reset(w, all);
	rd_kafka_topic_partition_list_destroy(all);
	if (rewind_consumer(w->consumer))
		return;
	line(w->o, "note", ",\"text\":\"the consumer is started anew\"");
	rd_kafka_consumer_close(w->consumer);
	rd_kafka_destroy(w->consumer);
	start_consumer(w);
}

static void end_op(struct worker *w)
{
	static const char *const events[] = {"ok", "fail", "info"};
	bool commits = !w->has_failed && roll(&w->random, 7);
	char why[256];

	/* What is aborted shall be in the log, mostly: what is only queued is thrown away by the client. */
	if (!commits && !w->has_failed && roll(&w->random, 4))
		rd_kafka_flush(w->producer, 2000);
	line(w->o, "end", ",\"n\":%" PRId64 ",\"as\":\"%s\"", w->n, commits ? "commit" : "abort");
	enum outcome outcome = producer_end(&w->producer, commits, why);
	if (w->producer)
		rd_kafka_poll(w->producer, 0);
	line(w->o, events[outcome], ",\"n\":%" PRId64 ",\"err\":\"%s\"", w->n, why);
	w->is_in_op = false;
	if (outcome != OUTCOME_OK && w->o->subscribes)
		rewind_op(w);
	else if (!roll(&w->random, 3))
		tell_committed(w);
}

static void work_once(struct worker *w)
{
	rd_kafka_error_t *error = rd_kafka_begin_transaction(w->producer);

	w->has_failed = error != NULL;
	if (error) {
		line(w->o, "note", ",\"text\":\"begin %s\"", rd_kafka_error_name(error));
		rd_kafka_error_destroy(error);
		producer_free(&w->producer);
		return;
	}
	w->n++;
	w->op_records = 0;
	w->is_in_op = true;
	line(w->o, "begin", ",\"n\":%" PRId64 ",\"txn\":true", w->n);
	fill_op(w);
	end_op(w);
}

int run_work(const struct options *o)
{
	struct worker *w = calloc(1, sizeof *w);

	w->o = o;
	w->random = o->seed;
	line(o, "start", ",\"isolation\":\"%s\",\"consume\":\"%s\",\"group\":\"%s\",\"id\":\"%s\"",
	     o->isolation, o->subscribes ? "subscribe" : "assign", o->group, o->id);
	start_consumer(w);
	while (!is_stopping()) {
		if (!w->producer)
			w->producer = producer_new(o, w, on_delivery);
		if (w->producer)
			work_once(w);
	}
	tell_committed(w);
	producer_free(&w->producer);
	rd_kafka_consumer_close(w->consumer);
	rd_kafka_destroy(w->consumer);
	free(w);
	return 0;
}

int run_read(const struct options *o)
{
	struct worker *w = calloc(1, sizeof *w);
	bool at_end[PARTITIONS_MAX] = {false};
	int ends = 0;

	w->o = o;
	line(o, "start", ",\"isolation\":\"%s\",\"consume\":\"assign\"", o->isolation);
	w->consumer = reader_new(o);
	while (ends < o->partitions) {
		rd_kafka_message_t *m = rd_kafka_consumer_poll(w->consumer, 60000);
		if (!m)
			fail("nothing came for 60 s, %d of %d partitions are read", ends,
			     o->partitions);
		if (m->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && !at_end[m->partition]) {
			at_end[m->partition] = true;
			ends++;
		}
		if (!m->err)
			take_record(w, m);
		if (w->got_count == GOT_MAX)
			tell_records(w);
		rd_kafka_message_destroy(m);
	}
	tell_records(w);
	line(o, "final", "%s", "");
	reader_free(w->consumer);
	free(w);
	return 0;
}

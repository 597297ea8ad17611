/* client.c - what a C program does with librdkafka, done against a broker and compared.
 *
 *   client BOOTSTRAP PREFIX
 *
 * PREFIX begins the names of all topics and groups, so that a cluster can be used again and again. After each
 * step "ok STEP" is printed; the first difference ends the program with a sentence on stderr and status 1.
 * tests/clients/README.md says what a step is. One thread; the library has its own.
 */
#include <librdkafka/rdkafka.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	PARTITIONS = 4,
	RECORDS = 1000,      /* of a codec */
	KEYS = 50,           /* different ones among them */
	GROUP_RECORDS = 100, /* of a partition of the group's topic */
	KEPT = 100,          /* committed by transactions */
	DROPPED = 50,        /* aborted */
	LIMIT_S = 60,        /* no step waits longer for the broker */
};

static const char *const filler = "the same words again and again, the same words again and again";
static const char *bootstrap;
static const char *prefix;
static int64_t began_ms; /* the timestamp of record 0: an hour ago, no retention reaches that far */

static _Noreturn void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}

static void passed(const char *step)
{
	printf("ok %s\n", step);
	fflush(stdout);
}

/* Every failure of a call ends here. */
static void must(rd_kafka_resp_err_t err, const char *call)
{
	if (err)
		fail("%s: %s", call, rd_kafka_err2str(err));
}

static void must_error(rd_kafka_error_t *error, const char *call)
{
	if (error)
		fail("%s: %s (%s)", call, rd_kafka_error_string(error), rd_kafka_error_name(error));
}

static time_t now_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec;
}

/* The name of a topic or group of this run; the result lives until the next but seven calls. */
static const char *name_of(const char *what)
{
	static char names[8][256];
	static unsigned turn;
	char *name = names[turn++ % 8];

	snprintf(name, sizeof names[0], "%s-%s", prefix, what);
	return name;
}

static rd_kafka_conf_t *conf_new(void)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char why[512];

	if (rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, why, sizeof why))
		fail("bootstrap.servers: %s", why);
	return conf;
}

static void conf_set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(conf, key, value, why, sizeof why))
		fail("%s: %s", key, why);
}

/* A handle with this configuration, which it takes. Release it with rd_kafka_destroy(). */
static rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);

	if (!rk)
		fail("rd_kafka_new: %s", why);
	if (type == RD_KAFKA_CONSUMER)
		must(rd_kafka_poll_set_consumer(rk), "rd_kafka_poll_set_consumer");
	return rk;
}

/* ---- topics ---- */

static void results_check(const rd_kafka_topic_result_t **results, size_t count, const char *call)
{
	for (size_t i = 0; i < count; i++)
		if (rd_kafka_topic_result_error(results[i]))
			fail("%s %s: %s", call, rd_kafka_topic_result_name(results[i]),
			     rd_kafka_topic_result_error_string(results[i]));
}

static void topic_create(rd_kafka_t *rk, const char *topic)
{
	char why[512];
	rd_kafka_NewTopic_t *wanted = rd_kafka_NewTopic_new(topic, PARTITIONS, 1, why, sizeof why);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	size_t count;

	if (!wanted)
		fail("NewTopic %s: %s", topic, why);
	rd_kafka_CreateTopics(rk, &wanted, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, LIMIT_S * 1000);
	if (!event)
		fail("CreateTopics %s: no answer", topic);
	must(rd_kafka_event_error(event), "CreateTopics");
	const rd_kafka_CreateTopics_result_t *result = rd_kafka_event_CreateTopics_result(event);
	const rd_kafka_topic_result_t **results =
		rd_kafka_CreateTopics_result_topics(result, &count);
	results_check(results, count, "CreateTopics");
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_NewTopic_destroy(wanted);
}

static void topic_delete(rd_kafka_t *rk, const char *topic)
{
	rd_kafka_DeleteTopic_t *unwanted = rd_kafka_DeleteTopic_new(topic);
	rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
	rd_kafka_event_t *event;
	size_t count;

	rd_kafka_DeleteTopics(rk, &unwanted, 1, NULL, queue);
	event = rd_kafka_queue_poll(queue, LIMIT_S * 1000);
	if (!event)
		fail("DeleteTopics %s: no answer", topic);
	must(rd_kafka_event_error(event), "DeleteTopics");
	const rd_kafka_DeleteTopics_result_t *result = rd_kafka_event_DeleteTopics_result(event);
	const rd_kafka_topic_result_t **results =
		rd_kafka_DeleteTopics_result_topics(result, &count);
	results_check(results, count, "DeleteTopics");
	rd_kafka_event_destroy(event);
	rd_kafka_queue_destroy(queue);
	rd_kafka_DeleteTopic_destroy(unwanted);
}

/* How many partitions the metadata shows; 0 when it does not know the topic. */
static int topic_partitions(rd_kafka_t *rk, const char *topic)
{
	const struct rd_kafka_metadata *metadata;
	int found = 0;

	must(rd_kafka_metadata(rk, 1, NULL, &metadata, LIMIT_S * 1000), "metadata");
	for (int i = 0; i < metadata->topic_cnt; i++)
		if (!strcmp(metadata->topics[i].topic, topic))
			found = metadata->topics[i].partition_cnt;
	rd_kafka_metadata_destroy(metadata);
	return found;
}

static const char *const codecs[] = {"none", "gzip", "snappy", "lz4", "zstd"};
static const char *const other_topics[] = {"group", "txn"};
#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void step_topics(rd_kafka_t *rk)
{
	for (size_t i = 0; i < COUNT(codecs); i++)
		topic_create(rk, name_of(codecs[i]));
	for (size_t i = 0; i < COUNT(other_topics); i++)
		topic_create(rk, name_of(other_topics[i]));
	for (size_t i = 0; i < COUNT(codecs); i++) {
		int partitions = topic_partitions(rk, name_of(codecs[i]));

		if (partitions != PARTITIONS)
			fail("topic %s has %d partitions", name_of(codecs[i]), partitions);
	}
	passed("topics");
}

static void step_delete(rd_kafka_t *rk)
{
	const char *topic = name_of("none");
	time_t until = now_s() + LIMIT_S;

	topic_delete(rk, topic);
	while (topic_partitions(rk, topic))
		if (now_s() > until)
			fail("topic %s is still in the metadata", topic);
	passed("delete");
}

/* ---- records there and back ---- */

static void value_write(char *value, size_t cap, const char *codec, int i)
{
	snprintf(value, cap, "%s %d %s", codec, i, filler);
}

/* Counts deliveries; a failed one ends the program. */
static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	int *delivered = opaque;

	(void)rk;
	must(message->err, "delivery");
	++*delivered;
}

/* Sends one record, again while the queue is full. partition may be RD_KAFKA_PARTITION_UA. */
static void send_record(rd_kafka_t *rk, const char *topic, int32_t partition, const char *key,
			const char *value, int i)
{
	char header[16];
	rd_kafka_resp_err_t err;

	snprintf(header, sizeof header, "%d", i);
	do {
		err = rd_kafka_producev(
			rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
			RD_KAFKA_V_KEY(key, strlen(key)),
			RD_KAFKA_V_VALUE((void *)(uintptr_t)value, strlen(value)),
			RD_KAFKA_V_HEADER("i", header, -1), RD_KAFKA_V_TIMESTAMP(began_ms + i),
			RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
		rd_kafka_poll(rk, err ? 100 : 0);
	} while (err == RD_KAFKA_RESP_ERR__QUEUE_FULL);
	must(err, "producev");
}

static void produce_codec(const char *codec)
{
	rd_kafka_conf_t *conf = conf_new();
	int delivered = 0;

	conf_set(conf, "enable.idempotence", "true");
	conf_set(conf, "compression.codec", codec);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_opaque(conf, &delivered);
	rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, conf);
	for (int i = 0; i < RECORDS; i++) {
		char key[32], value[256];

		snprintf(key, sizeof key, "key-%d", i % KEYS);
		value_write(value, sizeof value, codec, i);
		send_record(rk, name_of(codec), RD_KAFKA_PARTITION_UA, key, value, i);
	}
	must(rd_kafka_flush(rk, LIMIT_S * 1000), "flush");
	if (delivered != RECORDS)
		fail("%s: %d of %d records were delivered", codec, delivered, RECORDS);
	rd_kafka_destroy(rk);
}

/* A consumer of the group, if any, that starts at the beginning and never commits by itself. */
static rd_kafka_t *consumer_new(const char *group, const char *isolation)
{
	rd_kafka_conf_t *conf = conf_new();

	conf_set(conf, "group.id", group);
	conf_set(conf, "auto.offset.reset", "earliest");
	conf_set(conf, "enable.auto.commit", "false");
	conf_set(conf, "isolation.level", isolation);
	conf_set(conf, "session.timeout.ms", "10000");
	conf_set(conf, "heartbeat.interval.ms", "500");
	return client_new(RD_KAFKA_CONSUMER, conf);
}

static void assign_all(rd_kafka_t *rk, const char *topic)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);

	for (int32_t p = 0; p < PARTITIONS; p++)
		rd_kafka_topic_partition_list_add(list, topic, p)->offset =
			RD_KAFKA_OFFSET_BEGINNING;
	must(rd_kafka_assign(rk, list), "assign");
	rd_kafka_topic_partition_list_destroy(list);
}

/* The next record, or NULL after 100 ms without one. Release it with rd_kafka_message_destroy(). */
static rd_kafka_message_t *poll_record(rd_kafka_t *rk)
{
	rd_kafka_message_t *message = rd_kafka_consumer_poll(rk, 100);

	if (message && message->err)
		fail("poll: %s: %s", rd_kafka_err2name(message->err),
		     rd_kafka_message_errstr(message));
	return message;
}

/* The value as a string, cut at 63 bytes; lives until the next call. */
static const char *value_text(const rd_kafka_message_t *message)
{
	static char text[64];

	snprintf(text, sizeof text, "%.*s", (int)message->len, (const char *)message->payload);
	return text;
}

/* What has been seen of a codec's records. */
struct seen {
	bool record[RECORDS];
	int last[KEYS];          /* number of the newest record with this key */
	int32_t partition[KEYS]; /* where the key lives; -1 = not seen */
	int count;
};

/* The number of a record, read from its header, which must be there. */
static int header_number(const rd_kafka_message_t *message)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t size;

	must(rd_kafka_message_headers(message, &headers), "message_headers");
	must(rd_kafka_header_get_last(headers, "i", &value, &size), "header_get_last");
	return atoi(value); /* the library terminates header values */
}

static void seen_add(struct seen *seen, const char *codec, const rd_kafka_message_t *message)
{
	char key[32], value[256];
	int i = header_number(message);

	if (i < 0 || i >= RECORDS || seen->record[i])
		fail("%s: record %d came twice, or was never sent", codec, i);
	snprintf(key, sizeof key, "key-%d", i % KEYS);
	value_write(value, sizeof value, codec, i);
	if (message->key_len != strlen(key) || memcmp(message->key, key, strlen(key)))
		fail("%s: record %d has another key", codec, i);
	if (message->len != strlen(value) || memcmp(message->payload, value, strlen(value)))
		fail("%s: record %d has another value", codec, i);
	if (rd_kafka_message_timestamp(message, NULL) != began_ms + i)
		fail("%s: record %d has another timestamp", codec, i);
	if (seen->partition[i % KEYS] >= 0 && seen->partition[i % KEYS] != message->partition)
		fail("%s: key %s is in two partitions", codec, key);
	if (seen->partition[i % KEYS] >= 0 && seen->last[i % KEYS] > i)
		fail("%s: record %d comes after record %d", codec, i, seen->last[i % KEYS]);
	seen->record[i] = true;
	seen->last[i % KEYS] = i;
	seen->partition[i % KEYS] = message->partition;
	seen->count++;
}

static void step_codec(const char *codec)
{
	static struct seen seen;
	time_t until = now_s() + LIMIT_S;

	produce_codec(codec);
	memset(&seen, 0, sizeof seen);
	for (int k = 0; k < KEYS; k++)
		seen.partition[k] = -1;
	rd_kafka_t *rk = consumer_new(name_of("unused"), "read_committed");
	assign_all(rk, name_of(codec));
	while (seen.count < RECORDS) {
		rd_kafka_message_t *message = poll_record(rk);

		if (message) {
			seen_add(&seen, codec, message);
			rd_kafka_message_destroy(message);
		}
		if (now_s() > until)
			fail("%s: %d of %d records came back", codec, seen.count, RECORDS);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
	passed(codec);
}

/* ---- the group ---- */

struct member {
	rd_kafka_t *rk;
	bool has[PARTITIONS]; /* assigned to it now */
	int assigned;
	bool seen[PARTITIONS][GROUP_RECORDS];
};

static void member_join(struct member *m)
{
	rd_kafka_topic_partition_list_t *topics = rd_kafka_topic_partition_list_new(1);

	memset(m, 0, sizeof *m);
	m->rk = consumer_new(name_of("group"), "read_committed");
	rd_kafka_topic_partition_list_add(topics, name_of("group"), RD_KAFKA_PARTITION_UA);
	must(rd_kafka_subscribe(m->rk, topics), "subscribe");
	rd_kafka_topic_partition_list_destroy(topics);
}

static void member_leave(struct member *m)
{
	must(rd_kafka_consumer_close(m->rk), "consumer_close");
	rd_kafka_destroy(m->rk);
}

/* Polls once and notes what came and what is assigned now. */
static void member_poll(struct member *m)
{
	rd_kafka_message_t *message = poll_record(m->rk);
	rd_kafka_topic_partition_list_t *list;
	int p, i;

	if (message) {
		if (sscanf(value_text(message), "%d %d ", &p, &i) != 2 || p != message->partition ||
		    i < 0 || i >= GROUP_RECORDS || i != message->offset)
			fail("group: partition %d has a wrong record at offset %lld",
			     message->partition, (long long)message->offset);
		m->seen[p][i] = true;
		rd_kafka_message_destroy(message);
	}
	must(rd_kafka_assignment(m->rk, &list), "assignment");
	memset(m->has, 0, sizeof m->has);
	m->assigned = list->cnt;
	for (int k = 0; k < list->cnt; k++)
		m->has[list->elems[k].partition] = true;
	rd_kafka_topic_partition_list_destroy(list);
}

/* The records of its partitions from this offset on that it has seen. */
static int member_seen(const struct member *m, int first)
{
	int count = 0;

	for (int p = 0; p < PARTITIONS; p++)
		for (int i = first; i < GROUP_RECORDS; i++)
			count += m->has[p] && m->seen[p][i];
	return count;
}

static void members_wait(struct member *a, int a_partitions, struct member *b, int b_partitions)
{
	time_t until = now_s() + LIMIT_S;

	do {
		member_poll(a);
		if (b)
			member_poll(b);
		if (now_s() > until)
			fail("group: the members have %d and %d partitions, not %d and %d",
			     a->assigned, b ? b->assigned : 0, a_partitions, b_partitions);
	} while (a->assigned != a_partitions || (b && b->assigned != b_partitions));
	for (int p = 0; b && p < PARTITIONS; p++)
		if (a->has[p] == b->has[p])
			fail("group: partition %d is assigned to %s", p,
			     a->has[p] ? "both" : "nobody");
}

/* Commits 30 + p for each partition p that it has. */
static void member_commit(struct member *m)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(PARTITIONS);

	for (int32_t p = 0; p < PARTITIONS; p++)
		if (m->has[p])
			rd_kafka_topic_partition_list_add(list, name_of("group"), p)->offset =
				30 + p;
	must(rd_kafka_commit(m->rk, list, 0), "commit");
	for (int k = 0; k < list->cnt; k++)
		must(list->elems[k].err, "commit of a partition");
	rd_kafka_topic_partition_list_destroy(list);
}

static void produce_group(void)
{
	rd_kafka_conf_t *conf = conf_new();
	int delivered = 0;

	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_conf_set_opaque(conf, &delivered);
	rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, conf);
	for (int32_t p = 0; p < PARTITIONS; p++)
		for (int i = 0; i < GROUP_RECORDS; i++) {
			char value[256];

			snprintf(value, sizeof value, "%d %d %s", p, i, filler);
			send_record(rk, name_of("group"), p, "", value, i);
		}
	must(rd_kafka_flush(rk, LIMIT_S * 1000), "flush");
	rd_kafka_destroy(rk);
}

static void members_read(struct member *a, struct member *b)
{
	time_t until = now_s() + LIMIT_S;
	int wanted = GROUP_RECORDS * PARTITIONS;

	while (member_seen(a, 0) + member_seen(b, 0) < wanted) {
		member_poll(a);
		member_poll(b);
		if (now_s() > until)
			fail("group: two members have seen %d of %d records",
			     member_seen(a, 0) + member_seen(b, 0), wanted);
	}
}

/* A third member must see all from the committed offsets on and nothing before them. */
static void member_resume(struct member *c)
{
	time_t until = now_s() + LIMIT_S;
	int wanted = 0, seen;

	for (int p = 0; p < PARTITIONS; p++)
		wanted += GROUP_RECORDS - (30 + p);
	member_join(c);
	do {
		member_poll(c);
		seen = member_seen(c, 0);
		if (now_s() > until)
			fail("group: after the commit %d of %d records came", seen, wanted);
	} while (seen < wanted);
	for (int p = 0; p < PARTITIONS; p++)
		for (int i = 0; i < GROUP_RECORDS; i++)
			if (c->seen[p][i] != (i >= 30 + p))
				fail("group: committed %d of partition %d, but record %d was %s",
				     30 + p, p, i, c->seen[p][i] ? "read again" : "left out");
	member_leave(c);
}

static void step_group(void)
{
	static struct member a, b, c;

	produce_group();
	member_join(&a);
	members_wait(&a, PARTITIONS, NULL, 0);
	member_join(&b);
	members_wait(&a, PARTITIONS / 2, &b, PARTITIONS / 2);
	members_read(&a, &b);
	member_commit(&a);
	member_commit(&b);
	member_leave(&b);
	members_wait(&a, PARTITIONS, NULL, 0);
	member_leave(&a);
	member_resume(&c);
	passed("group");
}

/* ---- transactions ---- */

/* Sends records `first` to `first + count - 1` with this word and the group's offset, in one transaction. */
static void transaction_send(rd_kafka_t *rk, const char *word, int first, int count, int64_t offset)
{
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *group =
		rd_kafka_consumer_group_metadata_new(name_of("txn"));

	must_error(rd_kafka_begin_transaction(rk), "begin_transaction");
	for (int i = first; i < first + count; i++) {
		char value[64];

		snprintf(value, sizeof value, "%s %d", word, i);
		send_record(rk, name_of("txn"), i % PARTITIONS, "", value, i);
	}
	rd_kafka_topic_partition_list_add(offsets, name_of("txn"), 0)->offset = offset;
	must_error(rd_kafka_send_offsets_to_transaction(rk, offsets, group, LIMIT_S * 1000),
		   "send_offsets_to_transaction");
	rd_kafka_topic_partition_list_destroy(offsets);
	rd_kafka_consumer_group_metadata_destroy(group);
	must(rd_kafka_flush(rk, LIMIT_S * 1000), "flush");
}

/* Reads the topic until all kept records, and for read_uncommitted the dropped ones, have come once. */
static void transaction_read(const char *isolation, int dropped_wanted)
{
	bool kept[KEPT] = {false}, dropped[DROPPED] = {false};
	int kept_count = 0, dropped_count = 0, i;
	time_t until = now_s() + LIMIT_S;
	rd_kafka_t *rk = consumer_new(name_of("unused"), isolation);

	assign_all(rk, name_of("txn"));
	while (kept_count < KEPT || dropped_count < dropped_wanted) {
		rd_kafka_message_t *message = poll_record(rk);

		if (now_s() > until)
			fail("%s: %d kept and %d dropped records came", isolation, kept_count,
			     dropped_count);
		if (!message)
			continue;
		if (sscanf(value_text(message), "kept %d", &i) == 1 && i >= 0 && i < KEPT &&
		    !kept[i]) {
			kept[i] = true;
			kept_count++;
		} else if (sscanf(value_text(message), "dropped %d", &i) == 1 && i >= 0 &&
			   i < DROPPED && !dropped[i] && dropped_wanted) {
			dropped[i] = true;
			dropped_count++;
		} else {
			fail("%s: \"%s\" came, or came twice", isolation, value_text(message));
		}
		rd_kafka_message_destroy(message);
	}
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void transaction_offset_is(int64_t wanted)
{
	rd_kafka_t *rk = consumer_new(name_of("txn"), "read_committed");
	rd_kafka_topic_partition_list_t *offsets = rd_kafka_topic_partition_list_new(1);

	rd_kafka_topic_partition_list_add(offsets, name_of("txn"), 0);
	must(rd_kafka_committed(rk, offsets, LIMIT_S * 1000), "committed");
	if (offsets->elems[0].offset != wanted)
		fail("transaction: the group's offset is %lld, not %lld",
		     (long long)offsets->elems[0].offset, (long long)wanted);
	rd_kafka_topic_partition_list_destroy(offsets);
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

static void on_delivery_any(rd_kafka_t *rk, const rd_kafka_message_t *message, void *opaque)
{
	(void)rk, (void)opaque;
	must(message->err, "delivery");
}

static void step_transaction(void)
{
	rd_kafka_conf_t *conf = conf_new();

	conf_set(conf, "transactional.id", name_of("txn"));
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery_any);
	rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, conf);
	must_error(rd_kafka_init_transactions(rk, LIMIT_S * 1000), "init_transactions");
	transaction_send(rk, "kept", 0, KEPT / 2, 3);
	must_error(rd_kafka_commit_transaction(rk, LIMIT_S * 1000), "commit_transaction");
	transaction_send(rk, "dropped", 0, DROPPED, 5);
	must_error(rd_kafka_abort_transaction(rk, LIMIT_S * 1000), "abort_transaction");
	transaction_offset_is(3);
	transaction_send(rk, "kept", KEPT / 2, KEPT / 2, 7);
	must_error(rd_kafka_commit_transaction(rk, LIMIT_S * 1000), "commit_transaction");
	rd_kafka_destroy(rk);
	transaction_offset_is(7);
	transaction_read("read_committed", 0);
	transaction_read("read_uncommitted", DROPPED);
	passed("transaction");
}

int main(int argc, char **argv)
{
	if (argc != 3)
		fail("usage: client BOOTSTRAP PREFIX");
	bootstrap = argv[1];
	prefix = argv[2];
	began_ms = ((int64_t)time(NULL) - 3600) * 1000;
	rd_kafka_t *admin = client_new(RD_KAFKA_PRODUCER, conf_new());
	step_topics(admin);
	for (size_t i = 0; i < COUNT(codecs); i++)
		step_codec(codecs[i]);
	step_group();
	step_transaction();
	step_delete(admin);
	rd_kafka_destroy(admin);
	return 0;
}

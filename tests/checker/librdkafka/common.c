/* common.c - options, lines, clients, and how a transaction ends. */
#include "txn_client.h"

#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define END_LIMIT_NS INT64_C(60000000000) /* how long a commit or an abort is tried */

void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("txn_client: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* Whole lines reach the file at once, so that a kill tears the last one at most. */
void line(const struct options *o, const char *event, const char *format, ...)
{
	va_list args;

	printf("{\"t\":%" PRId64 ",\"p\":\"%s\",\"e\":\"%s\"", now_ns(), o->name, event);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	printf("}\n");
	fflush(stdout);
}

bool is_stopping(void)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	char byte;

	return poll(&in, 1, 0) > 0 && read(STDIN_FILENO, &byte, 1) == 0;
}

int roll(uint64_t *random, int below)
{
	*random ^= *random << 13;
	*random ^= *random >> 7;
	*random ^= *random << 17;
	return (int)(*random % (uint64_t)below);
}

/* --- clients --- */

void conf_set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(conf, key, value, why, sizeof why))
		fail("%s", why);
}

void conf_set_number(rd_kafka_conf_t *conf, const char *key, int64_t value)
{
	char text[32];

	snprintf(text, sizeof text, "%" PRId64, value);
	conf_set(conf, key, text);
}

/* That a broker is down, or a transaction in trouble, is no news here. */
static void quiet(const rd_kafka_t *rk, int level, const char *facility, const char *text)
{
	if (level <= 2)
		fprintf(stderr, "%s: %s: %s\n", rd_kafka_name(rk), facility, text);
}

static void on_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	(void)rk, (void)err, (void)reason, (void)opaque;
}

rd_kafka_conf_t *conf_new(const struct options *o)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	conf_set(conf, "bootstrap.servers", o->bootstrap);
	conf_set(conf, "client.id", o->name);
	conf_set(conf, "reconnect.backoff.ms", "20");
	conf_set(conf, "reconnect.backoff.max.ms", "200");
	conf_set(conf, "socket.timeout.ms", "3000");
	conf_set(conf, "topic.metadata.refresh.interval.ms", "5000");
	rd_kafka_conf_set_log_cb(conf, quiet);
	rd_kafka_conf_set_error_cb(conf, on_error);
	return conf;
}

rd_kafka_t *client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[512];
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);

	if (!rk)
		fail("%s", why);
	return rk;
}

rd_kafka_topic_partition_list_t *partitions_new(const struct options *o, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(o->partitions);

	for (int i = 0; i < o->partitions; i++)
		rd_kafka_topic_partition_list_add(list, o->topic, i)->offset = offset;
	return list;
}

rd_kafka_t *reader_new(const struct options *o)
{
	rd_kafka_conf_t *conf = conf_new(o);

	conf_set(conf, "group.id", o->name);
	conf_set(conf, "enable.auto.commit", "false");
	conf_set(conf, "auto.offset.reset", "error");
	conf_set(conf, "enable.partition.eof", "true");
	conf_set(conf, "check.crcs", "true");
	conf_set(conf, "isolation.level", o->isolation);
	rd_kafka_t *rk = client_new(RD_KAFKA_CONSUMER, conf);
	rd_kafka_poll_set_consumer(rk);
	rd_kafka_topic_partition_list_t *list = partitions_new(o, RD_KAFKA_OFFSET_BEGINNING);
	rd_kafka_assign(rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	return rk;
}

void reader_free(rd_kafka_t *rk)
{
	rd_kafka_consumer_close(rk);
	rd_kafka_destroy(rk);
}

/* --- transactional producers --- */

rd_kafka_t *producer_new(const struct options *o, void *opaque,
			 void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
	while (!is_stopping()) {
		rd_kafka_conf_t *conf = conf_new(o);
		conf_set(conf, "transactional.id", o->id);
		conf_set_number(conf, "transaction.timeout.ms", o->timeout_ms);
		conf_set_number(conf, "message.timeout.ms", o->timeout_ms - 1000);
		conf_set(conf, "linger.ms", "1");
		rd_kafka_conf_set_opaque(conf, opaque);
		rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
		rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, conf);
		rd_kafka_error_t *error;
		bool is_retriable = true;
		while (is_retriable && (error = rd_kafka_init_transactions(rk, 5000))) {
			is_retriable = rd_kafka_error_is_retriable(error) && !is_stopping();
			rd_kafka_error_destroy(error);
		}
		if (is_retriable)
			return rk;
		rd_kafka_destroy(rk);
	}
	return NULL;
}

void producer_free(rd_kafka_t **rk)
{
	if (!*rk)
		return;
	rd_kafka_purge(*rk, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
	rd_kafka_destroy(*rk);
	*rk = NULL;
}

enum step { STEP_DONE, STEP_ABORT, STEP_OVER };

/* Commits or aborts until that is done, or must be aborted, or cannot be done. */
static enum step try_end(rd_kafka_t *rk, bool commits, char *why)
{
	int64_t limit = now_ns() + END_LIMIT_NS;
	bool is_retriable = true, wants_abort = false;

	while (is_retriable && now_ns() < limit) {
		rd_kafka_error_t *error = commits ? rd_kafka_commit_transaction(rk, 5000)
						  : rd_kafka_abort_transaction(rk, 5000);
		if (!error)
			return STEP_DONE;
		snprintf(why, 256, "%s %s", commits ? "commit" : "abort",
			 rd_kafka_error_name(error));
		is_retriable = rd_kafka_error_is_retriable(error);
		wants_abort = rd_kafka_error_txn_requires_abort(error);
		rd_kafka_error_destroy(error);
	}
	return wants_abort ? STEP_ABORT : STEP_OVER;
}

enum outcome producer_end(rd_kafka_t **rk, bool commits, char *why)
{
	enum step step = STEP_ABORT;

	*why = '\0';
	if (commits)
		step = try_end(*rk, true, why);
	if (commits && step == STEP_DONE)
		return OUTCOME_OK;
	if (step == STEP_ABORT && try_end(*rk, false, why) == STEP_DONE)
		return OUTCOME_FAIL;
	producer_free(rk);
	/* A commit that was never asked for cannot take place. */
	return commits ? OUTCOME_INFO : OUTCOME_FAIL;
}

rd_kafka_topic_partition_list_t *positions_new(rd_kafka_t *consumer)
{
	rd_kafka_topic_partition_list_t *list;

	if (rd_kafka_assignment(consumer, &list))
		return rd_kafka_topic_partition_list_new(1);
	rd_kafka_position(consumer, list);
	for (int i = list->cnt - 1; i >= 0; i--)
		if (list->elems[i].offset < 0)
			rd_kafka_topic_partition_list_del_by_idx(list, i);
	return list;
}

void assign_at_committed(rd_kafka_t *consumer, rd_kafka_topic_partition_list_t *partitions)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_copy(partitions);

	if (!rd_kafka_committed(consumer, list, 20000))
		for (int i = 0; i < list->cnt; i++)
			if (!list->elems[i].err)
				partitions->elems[i].offset =
					list->elems[i].offset < 0 ? 0 : list->elems[i].offset;
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_assign(consumer, partitions);
}

bool rewind_consumer(rd_kafka_t *consumer)
{
	rd_kafka_topic_partition_list_t *list;
	bool is_done;

	if (rd_kafka_assignment(consumer, &list))
		return false;
	is_done = list->cnt == 0 || !rd_kafka_committed(consumer, list, 20000);
	for (int i = 0; is_done && i < list->cnt; i++) {
		is_done = !list->elems[i].err;
		if (list->elems[i].offset < 0)
			list->elems[i].offset = 0; /* see assign_at_committed */
	}
	if (is_done && list->cnt) {
		rd_kafka_error_t *error = rd_kafka_seek_partitions(consumer, list, 20000);
		is_done = !error;
		if (error)
			rd_kafka_error_destroy(error);
	}
	for (int i = 0; is_done && i < list->cnt; i++)
		is_done = !list->elems[i].err;
	rd_kafka_topic_partition_list_destroy(list);
	return is_done;
}

/* --- the program --- */

static const char usage[] =
	"txn_client MODE [options]\n"
	"\n"
	"  work    transactions that send, read and move offsets, as a history\n"
	"  read    the topic from its beginning to its end, as a history\n"
	"  seed    -c COUNT numbered messages into every partition\n"
	"  copy    -t TOPIC to -T TOPIC in transactions of -c COUNT messages\n"
	"  drive   what standard input says, line by line: init, begin, send, offsets, flush, "
	"commit,\n"
	"          abort\n"
	"  verify  is every one of the -c COUNT messages of every partition in -t TOPIC, once?\n"
	"\n"
	"  -b HOST:PORT  -t TOPIC  -T TOPIC  -p PARTITIONS  -n NAME  -i TRANSACTIONAL_ID  -g "
	"GROUP\n"
	"  -I read_uncommitted  -v FIRST_VALUE  -r SEED  -x TXN_TIMEOUT_MS  -s (subscribe)  -M "
	"(without the member's\n"
	"  generation)  -O (records change their partitions)\n"
	"  -A (offsets apart from the transactions: not exactly once)\n";

static int64_t number(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	if (*end || n < 0)
		fail("%s is not a number", text);
	return n;
}

static void parse_option(struct options *o, int c)
{
	const char **text[128] = {
		['b'] = &o->bootstrap, ['t'] = &o->topic, ['T'] = &o->to,       ['n'] = &o->name,
		['i'] = &o->id,        ['g'] = &o->group, ['I'] = &o->isolation};

	if (c > 0 && c < 128 && text[c])
		*text[c] = optarg;
	else if (c == 'p')
		o->partitions = (int)number(optarg);
	else if (c == 'v')
		o->base = number(optarg);
	else if (c == 'c')
		o->count = number(optarg);
	else if (c == 'x')
		o->timeout_ms = number(optarg);
	else if (c == 'r')
		o->seed = (uint64_t)number(optarg) * 2654435761u + 88172645463325252u;
	else if (c == 's')
		o->subscribes = true;
	else if (c == 'M')
		o->is_member = false;
	else if (c == 'A')
		o->is_apart = true;
	else if (c == 'O')
		o->keeps_order = false;
	else
		fail("unknown option\n%s", usage);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*run)(const struct options *);
	} modes[] = {{"work", run_work}, {"read", run_read},     {"seed", run_seed},
		     {"copy", run_copy}, {"verify", run_verify}, {"drive", run_drive}};
	struct options o = {.isolation = "read_committed",
			    .name = "txn_client",
			    .seed = 88172645463325252u,
			    .partitions = 4,
			    .count = 1000,
			    .timeout_ms = 10000,
			    .is_member = true,
			    .keeps_order = true};
	int c;

	if (argc < 2)
		fail("%s", usage);
	while ((c = getopt(argc - 1, argv + 1, "b:t:T:p:n:i:g:I:v:c:r:x:sMOA")) != -1)
		parse_option(&o, c);
	if (!o.bootstrap || !o.topic || o.partitions < 1 || o.partitions > PARTITIONS_MAX ||
	    !o.count)
		fail("-b, -t and 1 to %d partitions are needed\n%s", PARTITIONS_MAX, usage);
	if (!o.id)
		o.id = o.name;
	if (!o.group)
		o.group = o.name;
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
		if (!strcmp(modes[i].name, argv[1]))
			return modes[i].run(&o);
	fail("no such mode: %s\n%s", argv[1], usage);
}

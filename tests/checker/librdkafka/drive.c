/* drive.c - one transactional producer that does what it is told.
 *
 * Every line of standard input is a command and gets one line as an answer: "ok", or "error NAME" with the
 * library's name of the error and, where they hold, the words fatal, abort and retry.
 *
 *     init                      begin                     flush
 *     send PARTITION VALUE      only queued               offsets GROUP PARTITION OFFSET
 *     commit                    abort                     again as long as the library says so, for 30 s
 */
#include "txn_client.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LIMIT_NS INT64_C(30000000000)

static rd_kafka_resp_err_t
	delivery_err; /* of the first message that was not delivered since the last begin */

static void on_delivery(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
	(void)rk, (void)opaque;
	if (m->err && !delivery_err)
		delivery_err = m->err;
}

static void answer(rd_kafka_error_t *error)
{
	if (!error) {
		puts("ok");
		return;
	}
	printf("error %s%s%s%s\n", rd_kafka_error_name(error),
	       rd_kafka_error_is_fatal(error) ? " fatal" : "",
	       rd_kafka_error_txn_requires_abort(error) ? " abort" : "",
	       rd_kafka_error_is_retriable(error) ? " retry" : "");
	rd_kafka_error_destroy(error);
}

static void answer_code(rd_kafka_resp_err_t err)
{
	if (err)
		printf("error %s\n", rd_kafka_err2name(err));
	else
		puts("ok");
}

static rd_kafka_error_t *try_again(rd_kafka_t *rk, rd_kafka_error_t *(*call)(rd_kafka_t *, int))
{
	int64_t limit = now_ns() + LIMIT_NS;
	rd_kafka_error_t *error;

	while ((error = call(rk, 5000)) && rd_kafka_error_is_retriable(error) && now_ns() < limit)
		rd_kafka_error_destroy(error);
	return error;
}

static void send_value(rd_kafka_t *rk, const char *topic, int32_t partition, const char *value)
{
	answer_code(rd_kafka_producev(rk, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
				      RD_KAFKA_V_VALUE((void *)(uintptr_t)value, strlen(value)),
				      RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END));
}

static void send_offset(rd_kafka_t *rk, const struct options *o, const char *group,
			int32_t partition, int64_t offset)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_consumer_group_metadata_t *meta = rd_kafka_consumer_group_metadata_new(group);

	rd_kafka_topic_partition_list_add(list, o->topic, partition)->offset = offset;
	answer(rd_kafka_send_offsets_to_transaction(rk, list, meta, 30000));
	rd_kafka_consumer_group_metadata_destroy(meta);
	rd_kafka_topic_partition_list_destroy(list);
}

static void obey(rd_kafka_t *rk, const struct options *o, const char *command)
{
	char word[250];
	int32_t partition;
	int64_t offset;

	if (!strcmp(command, "init")) {
		answer(try_again(rk, rd_kafka_init_transactions));
	} else if (!strcmp(command, "begin")) {
		delivery_err = RD_KAFKA_RESP_ERR_NO_ERROR;
		answer(rd_kafka_begin_transaction(rk));
	} else if (sscanf(command, "send %" SCNd32 " %249s", &partition, word) == 2) {
		send_value(rk, o->topic, partition, word);
	} else if (sscanf(command, "offsets %249s %" SCNd32 " %" SCNd64, word, &partition,
			  &offset) == 3) {
		send_offset(rk, o, word, partition, offset);
	} else if (!strcmp(command, "flush")) {
		rd_kafka_resp_err_t err = rd_kafka_flush(rk, 30000);
		answer_code(err ? err : delivery_err);
	} else if (!strcmp(command, "commit")) {
		answer(try_again(rk, rd_kafka_commit_transaction));
	} else if (!strcmp(command, "abort")) {
		answer(try_again(rk, rd_kafka_abort_transaction));
	} else {
		fail("no such command: %s", command);
	}
}

int run_drive(const struct options *o)
{
	rd_kafka_conf_t *conf = conf_new(o);
	char command[512];

	conf_set(conf, "transactional.id", o->id);
	conf_set_number(conf, "transaction.timeout.ms", o->timeout_ms);
	conf_set_number(conf, "message.timeout.ms", o->timeout_ms);
	conf_set(conf, "linger.ms", "0");
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	rd_kafka_t *rk = client_new(RD_KAFKA_PRODUCER, conf);
	while (fgets(command, sizeof command, stdin)) {
		command[strcspn(command, "\n")] = '\0';
		obey(rk, o, command);
		fflush(stdout);
	}
	producer_free(&rk);
	return 0;
}

/* txn_verbs.c - txn list, describe, producers, find-hanging, abort. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/offsets.h"
#include "cli/select.h"
#include "cli/table_verb.h"

#define STATES_MAX 16
#define IDS_MAX    64

/* Of what has ended some brokers still tell when it began. */
static bool is_open(const char *state)
{
	return strcmp(state, "Ongoing") == 0 || strncmp(state, "Prepare", 7) == 0;
}

static int64_t age_ms(int64_t since_ms)
{
	int64_t age = since_ms < 0 ? -1 : clock_now_ms(&clock_real) - since_ms;
	return since_ms >= 0 && age < 0 ? 0 : age;
}

/* --- list --- */

const struct option txn_list_options[] = {
	{.name = "state",
	 .type = OPTION_LIST,
	 .arg = "STATE",
	 .help = "only those in this state, such as Ongoing; may be repeated"},
	{.name = "producer-id",
	 .type = OPTION_LIST,
	 .arg = "ID",
	 .help = "only that of this producer; may be repeated"},
	{.name = "older-than",
	 .type = OPTION_TEXT,
	 .arg = "DURATION",
	 .help = "only those that have been open for longer, such as 5m"},
	{.name = "match",
	 .type = OPTION_TEXT,
	 .arg = "REGEX",
	 .help = "only transactional ids that the expression matches as a whole"},
	FORMAT_OPTION,
	{0},
};

struct filter {
	struct list_transactions_request request;
	struct slice states[STATES_MAX];
	int64_t ids[IDS_MAX];
};

static enum ks_err read_ids(const struct options *o, struct filter *f, struct ks_why *why)
{
	const char *text;

	for (size_t i = 0; (text = options_item(o, "producer-id", i)) != NULL; i++) {
		char *end;
		long long id = strtoll(text, &end, 10);
		if (!*text || *end || id < 0)
			return ks_fail(why, ERR_INVALID_ARGUMENT,
				       "--producer-id %s: it is a number from 0 on", text);
		if (i == IDS_MAX)
			return ks_fail(why, ERR_INVALID_ARGUMENT, "--producer-id: at most %d",
				       IDS_MAX);
		f->ids[f->request.producer_id_filters.n++] = id;
	}
	return ERR_NONE;
}

static enum ks_err read_filter(const struct options *o, struct filter *f, struct ks_why *why)
{
	const char *age = options_text(o, "older-than"), *match = options_text(o, "match"), *state;

	*f = (struct filter){.request = {.duration_filter = -1}};
	f->request.state_filters.v = f->states;
	f->request.producer_id_filters.v = f->ids;
	for (size_t i = 0; (state = options_item(o, "state", i)) != NULL; i++) {
		if (i == STATES_MAX)
			return ks_fail(why, ERR_INVALID_ARGUMENT, "--state: at most %d",
				       STATES_MAX);
		f->states[f->request.state_filters.n++] = slice_str(state);
	}
	if (age && !offset_duration_parse(age, strlen(age), &f->request.duration_filter))
		return ks_fail(why, ERR_INVALID_ARGUMENT,
			       "--older-than \"%s\": a duration is 90s, 5m or 1h30m", age);
	if (match)
		f->request.transactional_id_pattern = slice_str(match);
	return read_ids(o, f, why);
}

static enum ks_err fill_list(struct target *t, const struct options *o, struct table *table,
			     struct ks_why *why)
{
	struct target_txns txns;
	struct filter f;
	enum ks_err err = read_filter(o, &f, why);

	if (!err)
		err = t->txns(t, &f.request, &txns, why);
	if (err)
		return err;
	if (txns.unknown_state)
		err = ks_fail(why, ERR_INVALID_ARGUMENT,
			      "--state %s: there is no such state; those there are: Empty, "
			      "Ongoing, PrepareCommit, PrepareAbort, CompleteCommit, "
			      "CompleteAbort, PrepareEpochFence, Dead",
			      txns.unknown_state);
	for (size_t i = 0; i < txns.count && !err; i++) {
		if (options_given(o, "older-than") && !is_open(txns.rows[i].state))
			continue;
		table_text(table, txns.rows[i].id);
		table_number_or_none(table, txns.rows[i].coordinator);
		table_number(table, txns.rows[i].producer_id);
		table_text(table, txns.rows[i].state);
	}
	target_txns_free(&txns);
	return err;
}

int verb_txn_list(const struct options *o)
{
	static const struct column columns[] = {{"TRANSACTIONAL-ID", CELL_TEXT, false},
						{"COORDINATOR", CELL_NUMBER, false},
						{"PRODUCER-ID", CELL_NUMBER, false},
						{"STATE", CELL_TEXT, false}};

	return verb_table(o, columns, sizeof columns / sizeof *columns, fill_list);
}

/* --- describe --- */

const struct option txn_describe_options[] = {FORMAT_OPTION, {0}};

static void put_parts(struct table *table, const struct target_txn_details *d)
{
	struct buf text = {0};

	for (size_t i = 0; i < d->part_count; i++)
		buf_printf(&text, "%s%s-%d", i ? "," : "", d->parts[i].topic,
			   d->parts[i].partition);
	table_text(table, text.len ? buf_cstr(&text) : NULL);
	buf_fini(&text);
}

static enum ks_err fill_description(struct target *t, const struct options *o, struct table *table,
				    struct ks_why *why)
{
	for (size_t i = 0; i < o->arg_count; i++) {
		struct target_txn_details d;
		enum ks_err err = t->txn_describe(t, o->args[i], &d, why);
		if (err)
			return err;
		table_text(table, d.txn.id);
		table_number_or_none(table, d.txn.coordinator);
		table_number(table, d.txn.producer_id);
		table_number(table, d.producer_epoch);
		table_text(table, d.txn.state);
		table_number(table, d.timeout_ms);
		table_number_or_none(table, d.start_ms);
		table_number_or_none(table, is_open(d.txn.state) ? age_ms(d.start_ms) : -1);
		put_parts(table, &d);
		arena_fini(&d.arena);
	}
	return ERR_NONE;
}

int verb_txn_describe(const struct options *o)
{
	static const struct column columns[] = {{"TRANSACTIONAL-ID", CELL_TEXT, false},
						{"COORDINATOR", CELL_NUMBER, false},
						{"PRODUCER-ID", CELL_NUMBER, false},
						{"PRODUCER-EPOCH", CELL_NUMBER, false},
						{"STATE", CELL_TEXT, false},
						{"TIMEOUT-MS", CELL_NUMBER, false},
						{"START-MS", CELL_NUMBER, true},
						{"AGE-MS", CELL_NUMBER, false},
						{"PARTITIONS", CELL_TEXT, false}};

	return verb_table(o, columns, sizeof columns / sizeof *columns, fill_description);
}

/* --- whose it is --- */

static bool has_part(const struct target_txn_details *d, const char *topic, int32_t partition)
{
	for (size_t i = 0; i < d->part_count; i++)
		if (d->parts[i].partition == partition && strcmp(d->parts[i].topic, topic) == 0)
			return true;
	return false;
}

/* The transactional id with which a coordinator has the producer's transaction open in this partition, to be freed; NULL: none has. */
static enum ks_err find_owner(struct target *t, const struct target_topic *topic, int32_t partition,
			      int64_t producer_id, char **owner, struct ks_why *why)
{
	struct list_transactions_request filter = {.producer_id_filters = {&producer_id, 1},
						   .duration_filter = -1};
	struct target_txns txns;
	enum ks_err err = t->txns(t, &filter, &txns, why);

	*owner = NULL;
	if (err)
		return err;
	for (size_t i = 0; i < txns.count && !err && !*owner; i++) {
		struct target_txn_details d;
		err = t->txn_describe(t, txns.rows[i].id, &d, why);
		if (err == ERR_TRANSACTIONAL_ID_NOT_FOUND) { /* gone meanwhile */
			err = ERR_NONE;
			continue;
		}
		if (err)
			break;
		if (d.txn.producer_id == producer_id && has_part(&d, topic->name, partition))
			*owner = xstrdup(txns.rows[i].id);
		arena_fini(&d.arena);
	}
	target_txns_free(&txns);
	return err;
}

/* --- producers --- */

const struct option txn_producers_options[] = {
	{.letter = 'p',
	 .name = "partitions",
	 .type = OPTION_TEXT,
	 .arg = "LIST",
	 .help = "only these partitions, such as 0,4-7"},
	{.name = "open", .help = "only producers with an open transaction"},
	FORMAT_OPTION,
	{0},
};

static void put_producer(struct table *table, const struct target_topic *topic, int32_t partition,
			 const struct target_producer *p)
{
	table_text(table, topic->name);
	table_number(table, partition);
	table_number(table, p->producer_id);
	table_number(table, p->producer_epoch);
	table_number_or_none(table, p->coordinator_epoch);
	table_number_or_none(table, p->last_sequence);
	table_number_or_none(table, p->last_timestamp);
	table_number_or_none(table, p->txn_start_offset);
}

static const struct column producer_columns[] = {{"TOPIC", CELL_TEXT, false},
						 {"PARTITION", CELL_NUMBER, false},
						 {"PRODUCER-ID", CELL_NUMBER, false},
						 {"PRODUCER-EPOCH", CELL_NUMBER, false},
						 {"COORDINATOR-EPOCH", CELL_NUMBER, true},
						 {"LAST-SEQUENCE", CELL_NUMBER, false},
						 {"LAST-TIMESTAMP", CELL_NUMBER, false},
						 {"TXN-START-OFFSET", CELL_NUMBER, false}};
#define PRODUCER_COLUMNS (sizeof producer_columns / sizeof *producer_columns)

static enum ks_err put_producers(struct target *t, const struct target_topic *topic,
				 int32_t partition, bool is_open, struct table *table,
				 struct ks_why *why)
{
	struct target_producer *rows;
	size_t count;
	enum ks_err err = t->producers(t, topic, partition, &rows, &count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		if (!is_open || rows[i].txn_start_offset >= 0)
			put_producer(table, topic, partition, &rows[i]);
	free(rows);
	return ERR_NONE;
}

static enum ks_err fill_producers(struct target *t, const struct options *o, struct table *table,
				  struct ks_why *why)
{
	const char *list = options_text(o, "partitions");
	struct target_topic topic;
	int32_t *numbers = NULL;
	size_t count = 0;
	enum ks_err err = list ? numbers_parse(list, &numbers, &count, why) : ERR_NONE;

	if (!err)
		err = t->topic_find(t, o->args[0], false, &topic, why);
	if (!err && !list)
		count = (size_t)topic.partition_count;
	for (size_t i = 0; i < count && !err; i++)
		err = put_producers(t, &topic, numbers ? numbers[i] : (int32_t)i,
				    options_flag(o, "open"), table, why);
	free(numbers);
	return err;
}

int verb_txn_producers(const struct options *o)
{
	return verb_table(o, producer_columns, PRODUCER_COLUMNS, fill_producers);
}

/* --- find-hanging --- */

const struct option txn_find_hanging_options[] = {FORMAT_OPTION, {0}};

/* The partition is asked before its coordinators, so what ends in between looks as if nobody knew it: whatever is suspect has
 * to be there at a second look. */
static enum ks_err is_still_open(struct target *t, const struct target_topic *topic,
				 int32_t partition, const struct target_producer *p, bool *out,
				 struct ks_why *why)
{
	struct target_producer *rows;
	size_t count;
	enum ks_err err = t->producers(t, topic, partition, &rows, &count, why);

	*out = false;
	if (err)
		return err;
	for (size_t i = 0; i < count; i++)
		*out |= rows[i].producer_id == p->producer_id &&
			rows[i].txn_start_offset == p->txn_start_offset;
	free(rows);
	return ERR_NONE;
}

static enum ks_err put_hanging(struct target *t, const struct target_topic *topic,
			       int32_t partition, struct table *table, struct ks_why *why)
{
	struct target_producer *rows;
	size_t count;
	enum ks_err err = t->producers(t, topic, partition, &rows, &count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++) {
		char *owner = NULL;
		bool open = false;
		if (rows[i].txn_start_offset < 0)
			continue;
		err = find_owner(t, topic, partition, rows[i].producer_id, &owner, why);
		if (!err && !owner)
			err = is_still_open(t, topic, partition, &rows[i], &open, why);
		if (!err && open)
			put_producer(table, topic, partition, &rows[i]);
		free(owner);
	}
	free(rows);
	return err;
}

static enum ks_err fill_hanging(struct target *t, const struct options *o, struct table *table,
				struct ks_why *why)
{
	struct target_topic *topics;
	size_t count;
	enum ks_err err = t->topics(t, &topics, &count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count && !err; i++) {
		if (o->arg_count && !topic_name_matches(topics[i].name, o, false))
			continue;
		for (int32_t p = 0; p < topics[i].partition_count && !err; p++)
			err = put_hanging(t, &topics[i], p, table, why);
	}
	free(topics);
	return err;
}

int verb_txn_find_hanging(const struct options *o)
{
	return verb_table(o, producer_columns, PRODUCER_COLUMNS, fill_hanging);
}

/* --- abort --- */

const struct option txn_abort_options[] = {
	{.letter = 'p',
	 .name = "partition",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .help = "the partition in which it is open"},
	{.name = "start-offset",
	 .type = OPTION_NUMBER,
	 .arg = "OFFSET",
	 .help = "where it began, as 'txn producers' shows it"},
	{.letter = 'y', .name = "yes", .help = "do not ask"},
	FORMAT_OPTION,
	{0},
};

static enum ks_err find_open(struct target *t, const struct target_topic *topic, int32_t partition,
			     int64_t start_offset, struct target_producer *out, struct ks_why *why)
{
	struct target_producer *rows;
	bool found = false;
	size_t count;
	enum ks_err err = t->producers(t, topic, partition, &rows, &count, why);

	if (err)
		return err;
	for (size_t i = 0; i < count && !found; i++) {
		found = rows[i].txn_start_offset == start_offset;
		if (found)
			*out = rows[i];
	}
	free(rows);
	return found ? ERR_NONE
		     : ks_fail(why, ERR_NOT_FOUND,
			       "%s [%d]: no transaction is open that began at offset %lld",
			       topic->name, partition, (long long)start_offset);
}

/* What a coordinator knows it ends everywhere, at its time; a broker that would let it be aborted here alone would tear it. */
static enum ks_err check_hanging(struct target *t, const struct target_topic *topic,
				 int32_t partition, const struct target_producer *p,
				 struct ks_why *why)
{
	char *owner;
	enum ks_err err = find_owner(t, topic, partition, p->producer_id, &owner, why);

	if (!err && owner)
		err = ks_fail(why, ERR_INVALID_TXN_STATE,
			      "%s [%d]: the transaction does not hang, it is open: its coordinator "
			      "ends it in all partitions, for \"%s\"",
			      topic->name, partition, owner);
	free(owner);
	return err;
}

static int abort_confirmed(const struct options *o, const struct buf *shown)
{
	if (options_flag(o, "yes"))
		return EXIT_DONE;
	return confirm(shown,
		       "Abort this transaction? Its records in this partition will not be read.",
		       "--yes does it without asking");
}

static int abort_in(struct target *t, const struct options *o, int output)
{
	int32_t partition = (int32_t)options_number(o, "partition");
	struct target_producer producer;
	struct target_topic topic;
	struct ks_why why = {""};
	struct buf out = {0};
	enum ks_err err = t->topic_find(t, o->args[0], false, &topic, &why);

	if (!err)
		err = find_open(t, &topic, partition, options_number(o, "start-offset"), &producer,
				&why);
	if (!err)
		err = check_hanging(t, &topic, partition, &producer, &why);
	if (err)
		return say_failure(err, &why);
	struct table *table = table_new(producer_columns, PRODUCER_COLUMNS);
	put_producer(table, &topic, partition, &producer);
	table_write(table, OUTPUT_TEXT, &out);
	int code = abort_confirmed(o, &out);
	if (!code) {
		err = t->txn_abort(t, &topic, partition, &producer, &why);
		code = err ? say_failure(err, &why) : EXIT_DONE;
	}
	out.len = 0;
	if (!code) {
		table_write(table, (enum output)output, &out);
		out_write(&out);
	}
	table_free(table);
	buf_fini(&out);
	return code;
}

int verb_txn_abort(const struct options *o)
{
	struct target *t;
	int output;

	if (!verb_output(o, &output))
		return EXIT_USAGE;
	if (!options_given(o, "partition") || !options_given(o, "start-offset"))
		return say_usage("--partition and --start-offset say which one");
	int code = verb_open_target(o, false, &t);
	if (code)
		return code;
	code = abort_in(t, o, output);
	t->close(t);
	return code ? code : out_code();
}

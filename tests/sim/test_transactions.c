/* Every way in which two producers of one transactional id can run into each other and into a bad network.
 *
 * A model checker over the real code: txn/transaction.c, txn/defence.c and txn/producer.c, put together as the shard puts them
 * together, with two client instances that follow the protocol, each with two transactions. Whatever can happen next is tried:
 * a client sends, gives up waiting and sends again on a new connection; any request or answer that is on its way arrives, or
 * arrives and is also kept to arrive once more; a transaction times out; the id expires; the broker starts anew. What never arrives is
 * what was lost. After every step the rules below (check_log, check_coordinator, check_answer) must hold. States are
 * remembered by their hash, so every state is visited once.
 *
 * The coordinator's value lives in its stored form, and a step that does not say is_changed has its changes thrown away:
 * each state is also what a start would find.
 *
 * KS_LONG=1 allows more faults in a run: some 10^7 states.
 */
#include "sim.h"

#include <assert.h>
#include <xxhash.h>

#include "txn/defence.h"
#include "txn/producer.h"
#include "txn/transaction.h"

#define INSTANCES    2
#define TRANSACTIONS 2 /* of each instance */
#define PARTS_MAX    2 /* partitions, and the group */
#define MESSAGES_MAX 16
#define VALUE_MAX    160
#define LOG_MAX      10
#define IDS_MAX      5 /* producer ids that one partition meets */
#define DEPTH_MAX    200
#define FIRST_ID     1
#define NOW_MS       1
#define LAST_EPOCH   32766
#define NOBODY       0

/* What may happen in a run. */
struct model {
	const char *name;
	uint8_t versions[INSTANCES][TRANSACTIONS]; /* of the protocol */
	int partitions;
	bool has_group; /* its offsets are one part more: what they are sent with goes as Produce does */
	bool has_defence;
	int16_t first_epoch; /* of the instance that comes first */
	/* How often at most, in a run. */
	uint8_t resends, duplicates, give_ups, resumes, timeouts, expiries, restarts;
	bool has_misuse; /* an instance sends InitProducerId in the middle of a transaction */
	bool has_errors; /* errors where there should be none are not looked at */
};

enum request { INIT, ADD, PRODUCE, END, REQUESTS };
enum { NONE, COMMIT, ABORT };

struct message {
	uint8_t is_answer, request, instance, transaction, partition, attempt, number, connection;
	uint8_t version, outcome, sequence, id; /* id 0: none */
	uint8_t incarnation;
	int16_t epoch, err;
};

enum where { IDLE, WAITING, DONE, STOPPED };

struct client {
	uint8_t where, request, transaction, partition, outcome;
	uint8_t number, attempt; /* of the request under way */
	uint8_t id, incarnation;
	uint8_t connection;
	uint8_t must_resume, is_resuming, is_misusing, has_misused;
	uint8_t sequences[PARTS_MAX];
	int16_t epoch;
	/* What it wanted and what it was told, of each transaction. */
	uint8_t wanted[TRANSACTIONS], told[TRANSACTIONS], acked[TRANSACTIONS];
};

struct record {
	uint8_t instance, transaction, id, fate; /* fate: NONE while its transaction is open */
};

struct log {
	uint8_t count, id_count;
	struct record records[LOG_MAX];
	struct {
		uint8_t id, len, value[VALUE_PRODUCER_BYTES_MAX];
	} producers[IDS_MAX];
};

/* Compared and hashed as bytes: all of it was zero at first, and there is no padding that is ever written. */
struct state {
	uint8_t value_len, value[VALUE_MAX]; /* len 0: the id is unknown */
	uint8_t newest[DEFENCE_KINDS];       /* connections */
	uint8_t next_connection, next_id;
	/* Every InitProducerId without a pair that arrives makes a new incarnation, even a repeated one; a client is the one whose
	 * answer it got. */
	uint8_t incarnations;
	uint8_t holder; /* of the newest pair: an incarnation, or NOBODY */
	uint8_t is_out; /* it has been fenced by a timeout, and may come back */
	uint8_t max_id; /* the newest pair that was ever given out */
	uint8_t resends, duplicates, give_ups, resumes, timeouts, expiries, restarts;
	uint8_t has_expired;
	uint8_t message_count;
	int16_t max_epoch;
	struct client clients[INSTANCES];
	struct message messages[MESSAGES_MAX];
	struct log logs[PARTS_MAX];
};

static struct {
	const struct model *model;
	uint64_t *seen; /* hashes; 0: free */
	size_t seen_cap, seen_count;
	size_t steps, ends; /* transitions; states in which nothing can happen any more */
	bool is_end_v1;     /* what is being carried out */
	const char *broken; /* the rule; NULL: none */
	char path[DEPTH_MAX][96];
	int depth;
} run;

/* --- what was seen --- */

static bool insert(uint64_t *table, size_t cap, uint64_t hash)
{
	size_t at = hash & (cap - 1);

	while (table[at] && table[at] != hash)
		at = (at + 1) & (cap - 1);
	if (table[at])
		return false;
	table[at] = hash;
	return true;
}

static void grow(void)
{
	size_t cap = run.seen_cap ? 2 * run.seen_cap : 1 << 16;
	uint64_t *table = calloc(cap, sizeof *table);

	assert(table);
	for (size_t i = 0; i < run.seen_cap; i++)
		if (run.seen[i])
			insert(table, cap, run.seen[i]);
	free(run.seen);
	run.seen = table;
	run.seen_cap = cap;
}

static int compare_messages(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct message));
}

static void take_out(struct state *s, int i)
{
	s->messages[i] = s->messages[--s->message_count];
	memset(&s->messages[s->message_count], 0, sizeof *s->messages);
}

static bool is_awaited(const struct state *s, const struct message *m)
{
	const struct client *c = &s->clients[m->instance];

	return c->where == WAITING && c->number == m->number && c->attempt == m->attempt;
}

/* Whether it was not seen before. */
static bool remember(struct state *s)
{
	/* An answer to a request that was given up comes on a connection that is closed. */
	for (int i = s->message_count; i-- > 0;)
		if (s->messages[i].is_answer && !is_awaited(s, &s->messages[i]))
			take_out(s, i);
	/* Messages are a set: their places mean nothing. */
	qsort(s->messages, s->message_count, sizeof *s->messages, compare_messages);
	uint64_t hash = XXH3_64bits(s, sizeof *s) | 1;
	if (run.seen_count * 2 >= run.seen_cap)
		grow();
	if (!insert(run.seen, run.seen_cap, hash))
		return false;
	run.seen_count++;
	return true;
}

/* --- rules --- */

static const struct slice group = {(const uint8_t *)"g", 1};

static int parts(void)
{
	return run.model->partitions + run.model->has_group;
}

static bool is_group(int part)
{
	return part == run.model->partitions;
}

#define rule(holds, sentence)                                                                      \
	do {                                                                                       \
		if (!(holds) && !run.broken)                                                       \
			run.broken = sentence;                                                     \
	} while (0)

static void load(const struct state *s, struct transaction *t)
{
	*t = TRANSACTION_NONE;
	if (s->value_len)
		rule(value_transaction_decode(slice_of(s->value, s->value_len), t),
		     "what was stored can be read");
}

static void check_record(const struct state *s, const struct transaction *t, int partition,
			 const struct record *r)
{
	const struct client *c = &s->clients[r->instance];
	const uint8_t wanted = c->wanted[r->transaction], told = c->told[r->transaction];

	rule(r->fate != COMMIT || wanted == COMMIT,
	     "a record is committed only if its producer asked for that");
	rule(told == NONE || r->fate == told, "what the producer was told is what happened");
	bool is_part = is_group(partition)
			       ? transaction_parts_has_group(&t->parts, group)
			       : transaction_parts_has_partition(&t->parts, (uint32_t)partition);
	rule(r->fate != NONE ||
		     (t->state == TRANSACTION_ONGOING && t->producer_id == r->id && is_part),
	     "an open transaction in a partition is open in the coordinator and has that "
	     "partition");
}

/* Of one transaction of one instance. */
static void check_transaction(const struct state *s, int instance, int transaction)
{
	const struct client *c = &s->clients[instance];
	unsigned fates = 0;

	for (int p = 0; p < parts(); p++) {
		int times = 0;
		for (int i = 0; i < s->logs[p].count; i++) {
			const struct record *r = &s->logs[p].records[i];
			if (r->instance != instance || r->transaction != transaction)
				continue;
			fates |= 1u << r->fate;
			times++;
		}
		rule(times <= 1, "a record is in the log once");
		rule(times == 1 || !(c->acked[transaction] & 1 << p),
		     "what was acknowledged is there");
	}
	rule((fates & (1u << COMMIT | 1u << ABORT)) != (1u << COMMIT | 1u << ABORT),
	     "a transaction is committed or aborted as a whole");
}

/* It has the newest pair, and may use it. */
static bool is_in(const struct state *s, uint8_t incarnation)
{
	return incarnation != NOBODY && incarnation == s->holder && !s->is_out;
}

static void check(const struct state *s)
{
	struct transaction t;

	load(s, &t);
	for (int p = 0; p < parts(); p++)
		for (int i = 0; i < s->logs[p].count; i++)
			check_record(s, &t, p, &s->logs[p].records[i]);
	for (int i = 0; i < INSTANCES; i++)
		for (int k = 0; k < TRANSACTIONS; k++)
			check_transaction(s, i, k);
	rule(t.state != TRANSACTION_ONGOING || transaction_deadline(&t) < INT64_MAX,
	     "an open transaction times out");
	rule(t.state != TRANSACTION_ONGOING || is_in(s, s->holder),
	     "an open transaction has a producer");
	rule(t.state != TRANSACTION_ONGOING || transaction_expiry(&t, 1) == INT64_MAX,
	     "an id with an open transaction does not expire");
	transaction_fini(&t);
}

/* --- the shard: what the broker does with the machine --- */

static struct log *log_of(struct state *s, int partition)
{
	assert(partition < parts());
	return &s->logs[partition];
}

static int producer_slot(struct log *l, int id)
{
	for (int i = 0; i < l->id_count; i++)
		if (l->producers[i].id == id)
			return i;
	assert(l->id_count < IDS_MAX);
	l->producers[l->id_count].id = (uint8_t)id;
	return l->id_count++;
}

static void producer_load(struct log *l, int id, struct producer_state *p)
{
	int slot = producer_slot(l, id);

	*p = PRODUCER_UNKNOWN;
	if (l->producers[slot].len)
		rule(value_producer_decode(
			     slice_of(l->producers[slot].value, l->producers[slot].len), p),
		     "what was stored of a producer can be read");
}

static void producer_store(struct log *l, int id, const struct producer_state *p)
{
	int slot = producer_slot(l, id);

	memset(l->producers[slot].value, 0, sizeof l->producers[slot].value);
	l->producers[slot].len = (uint8_t)value_producer(p, l->producers[slot].value);
}

/* What is open in one part gets its fate. */
static void decide(struct log *l, const struct transaction_effects *fx)
{
	for (int i = 0; i < l->count; i++)
		if (l->records[i].id == fx->marker_producer_id && l->records[i].fate == NONE)
			l->records[i].fate = fx->is_committed ? COMMIT : ABORT;
}

/* A marker in one partition. */
static void mark(struct log *l, const struct transaction_effects *fx)
{
	struct producer_state p;

	decide(l, fx);
	producer_load(l, (int)fx->marker_producer_id, &p);
	rule(fx->marker_epoch > p.epoch || (run.is_end_v1 && fx->marker_epoch == p.epoch),
	     "behind a marker the epoch of its records is refused, but for version 1");
	if (fx->marker_epoch > p.epoch) {
		p = PRODUCER_UNKNOWN;
		p.epoch = fx->marker_epoch;
		p.last_ms = NOW_MS;
	} else if (!fx->is_committed) {
		producer_forget_batches(&p);
	}
	producer_store(l, (int)fx->marker_producer_id, &p);
}

/* Writes what a function of the machine made of t, and releases both. */
static void carry_out(struct state *s, struct transaction *t, struct transaction_effects *fx)
{
	struct buf value = {0};

	if (fx->is_changed && t->producer_id >= 0)
		value_transaction(t, &value);
	if (fx->is_changed) {
		assert(value.len <= VALUE_MAX);
		memset(s->value, 0, sizeof s->value);
		if (value.len)
			memcpy(s->value, value.data, value.len);
		s->value_len = (uint8_t)value.len;
	}
	if (fx->is_ended)
		for (uint32_t i = 0; i < fx->ended.partition_count; i++)
			mark(log_of(s, (int)fx->ended.partitions[i]), fx);
	for (uint32_t i = 0; i < fx->ended.group_count; i++)
		decide(log_of(s, run.model->partitions), fx);
	if (fx->used_id)
		s->next_id++;
	buf_fini(&value);
	transaction_fini(t);
	transaction_effects_fini(fx);
}

/* An incarnation is given a pair. */
static void check_pair(struct state *s, uint8_t incarnation, int64_t id, int epoch)
{
	bool is_higher = id > s->max_id || (id == s->max_id && epoch > s->max_epoch);

	rule(id >= FIRST_ID && id < s->next_id, "producer ids come from the stock");
	rule(epoch >= 0 && epoch <= LAST_EPOCH, "epochs stay within their range");
	rule(is_higher || (id == s->max_id && epoch == s->max_epoch && s->holder == incarnation),
	     "a pair is given to one instance only");
	s->max_id = (uint8_t)id;
	s->max_epoch = (int16_t)epoch;
	s->holder = incarnation;
	s->is_out = false;
}

static struct transaction_claim claim_of(const struct message *m)
{
	return (struct transaction_claim){m->id, m->epoch, m->version};
}

static enum ks_err defend(struct state *s, enum defence_kind kind, const struct transaction *t,
			  const struct message *m)
{
	struct transaction_defence d;
	struct transaction_claim claim = claim_of(m);

	if (!run.model->has_defence)
		return ERR_NONE;
	for (int i = 0; i < DEFENCE_KINDS; i++)
		d.newest[i] = s->newest[i];
	enum ks_err err = defence_check(&d, kind, t, &claim, m->connection);
	for (int i = 0; i < DEFENCE_KINDS; i++)
		s->newest[i] = (uint8_t)d.newest[i];
	return err;
}

static enum ks_err serve_init(struct state *s, const struct message *m, struct message *answer)
{
	struct transaction t;
	struct transaction_effects fx;
	struct transaction_init init = {
		.producer_id = m->id ? m->id : -1,
		.producer_epoch = m->epoch,
		.timeout_ms = 1000,
		.timeout_max_ms = 1000,
		.new_producer_id = s->next_id,
		.now_ms = NOW_MS,
	};

	load(s, &t);
	enum ks_err err = transaction_init_producer(&t, &init, &fx);
	int64_t id = fx.producer_id;
	int16_t epoch = fx.producer_epoch;
	if (err && fx.is_changed) {
		rule(run.model->has_misuse, "a late InitProducerId changes nothing");
		s->holder = NOBODY;
	}
	rule(err || !m->id || m->incarnation == s->incarnations || s->expiries > 1,
	     "an instance that was replaced does not come back");
	carry_out(s, &t, &fx);
	if (err)
		return err;
	answer->incarnation = m->id ? m->incarnation : ++s->incarnations;
	check_pair(s, answer->incarnation, id, epoch);
	answer->id = (uint8_t)id;
	answer->epoch = epoch;
	if (run.model->has_defence) {
		struct transaction_defence d = {
			.newest = {s->newest[0], s->newest[1], s->newest[2]}};
		defence_reset(&d, m->connection);
		for (int i = 0; i < DEFENCE_KINDS; i++)
			s->newest[i] = (uint8_t)d.newest[i];
	}
	return ERR_NONE;
}

static enum ks_err add_partition(struct state *s, struct transaction *t, const struct message *m)
{
	struct transaction_effects fx;
	struct transaction_claim claim = claim_of(m);
	const uint32_t partition = m->partition;
	enum ks_err err =
		is_group(m->partition)
			? transaction_add_group(t, &claim, group, NOW_MS, &fx)
			: transaction_add_partitions(t, &claim, &partition, 1, NOW_MS, &fx);

	rule(err || is_in(s, m->incarnation), "only the newest instance begins a transaction");
	carry_out(s, t, &fx);
	return err;
}

static enum ks_err serve_add(struct state *s, const struct message *m)
{
	struct transaction t;

	load(s, &t);
	enum ks_err err = defend(s, DEFENCE_COORDINATOR, &t, m);
	if (err == ERR_NONE)
		return add_partition(s, &t, m);
	transaction_fini(&t);
	return err;
}

static void append(struct state *s, const struct message *m, struct producer_state *p,
		   const struct producer_claim *claim)
{
	struct log *l = log_of(s, m->partition);

	assert(l->count < LOG_MAX);
	rule(is_in(s, m->incarnation), "only the newest instance appends");
	producer_add(p, claim, l->count, NOW_MS);
	producer_store(l, m->id, p);
	l->records[l->count++] = (struct record){m->instance, m->transaction, m->id, NONE};
}

static enum ks_err serve_produce(struct state *s, const struct message *m)
{
	struct transaction t;
	struct producer_state p;
	const struct producer_batch *duplicate;
	const struct producer_claim claim = {.base_sequence = m->sequence, .epoch = m->epoch};
	const struct transaction_claim who = claim_of(m);
	bool is_new = false;

	producer_load(log_of(s, m->partition), m->id, &p);
	enum ks_err sequence = producer_check(&p, &claim, &duplicate);
	if (duplicate || sequence == ERR_INVALID_PRODUCER_EPOCH)
		return sequence;
	load(s, &t);
	enum ks_err err = defend(s, DEFENCE_BATCHES, &t, m);
	if (err == ERR_NONE)
		err = transaction_check_partition(&t, &who, m->partition, &is_new);
	if (err == ERR_NONE)
		err = sequence;
	if (err == ERR_NONE && is_new)
		err = add_partition(s, &t, m);
	else
		transaction_fini(&t);
	if (err == ERR_NONE)
		append(s, m, &p, &claim);
	return transaction_wire_error(err, 0, m->version == 2 ? 12 : 11);
}

/* TxnOffsetCommit: as a batch, but that offsets which come again replace themselves. */
static enum ks_err serve_offsets(struct state *s, const struct message *m)
{
	struct transaction t;
	const struct transaction_claim who = claim_of(m);
	struct log *l = log_of(s, m->partition);
	bool is_new = false;

	load(s, &t);
	enum ks_err err = defend(s, DEFENCE_OFFSETS, &t, m);
	if (err == ERR_NONE)
		err = transaction_check_group(&t, &who, group, &is_new);
	if (err == ERR_NONE && is_new)
		err = add_partition(s, &t, m);
	else
		transaction_fini(&t);
	if (err)
		return transaction_wire_error(err, 28, m->version == 2 ? 5 : 4);
	rule(is_in(s, m->incarnation), "only the newest instance commits offsets");
	for (int i = 0; i < l->count; i++)
		if (l->records[i].instance == m->instance &&
		    l->records[i].transaction == m->transaction && l->records[i].fate == NONE)
			return ERR_NONE;
	assert(l->count < LOG_MAX);
	l->records[l->count++] = (struct record){m->instance, m->transaction, m->id, NONE};
	return ERR_NONE;
}

static enum ks_err serve_end(struct state *s, const struct message *m, struct message *answer)
{
	struct transaction t;
	struct transaction_effects fx;
	const struct transaction_claim claim = claim_of(m);

	load(s, &t);
	enum ks_err err = defend(s, DEFENCE_COORDINATOR, &t, m);
	if (err) {
		transaction_fini(&t);
		return err;
	}
	err = transaction_end(&t, &claim, m->outcome == COMMIT, s->next_id, NOW_MS, &fx);
	rule(err || !fx.is_changed || is_in(s, m->incarnation) ||
		     (s->holder == m->incarnation && m->outcome == ABORT && !fx.is_ended),
	     "only the newest instance ends a transaction");
	answer->id = (uint8_t)fx.producer_id;
	answer->epoch = fx.producer_epoch;
	run.is_end_v1 = m->version == 1;
	carry_out(s, &t, &fx);
	run.is_end_v1 = false;
	if (err == ERR_NONE && m->version == 2)
		check_pair(s, m->incarnation, answer->id, answer->epoch);
	return err;
}

/* --- clients --- */

/* The number of a new connection; without the defence it does not matter. */
static uint8_t connect_anew(struct state *s)
{
	return run.model->has_defence ? s->next_connection++ : 1;
}

static void post(struct state *s, const struct message *m)
{
	assert(s->message_count < MESSAGES_MAX);
	s->messages[s->message_count++] = *m;
}

/* Sends what the client is about to do, for the first time or again. */
static void send(struct state *s, int instance)
{
	const struct client *c = &s->clients[instance];
	struct message m = {
		.request = c->request,
		.instance = (uint8_t)instance,
		.transaction = c->transaction,
		.partition = c->request == ADD || c->request == PRODUCE ? c->partition : 0,
		.attempt = c->attempt,
		.number = c->number,
		.connection = c->connection,
		.version = run.model->versions[instance][c->transaction],
		.outcome = c->request == END ? c->outcome : NONE,
		.sequence = c->request == PRODUCE ? c->sequences[c->partition] : 0,
		.id = c->id,
		.epoch = c->epoch,
		.incarnation = c->incarnation,
	};

	if (c->request == INIT && !c->is_resuming && !c->is_misusing) {
		m.id = m.incarnation = 0;
		m.epoch = -1;
	}
	s->clients[instance].where = WAITING;
	post(s, &m);
}

static void begin(struct state *s, int instance, enum request request)
{
	struct client *c = &s->clients[instance];

	c->request = (uint8_t)request;
	c->number++;
	c->attempt = 0;
	send(s, instance);
}

static void begin_transaction(struct state *s, int instance)
{
	s->clients[instance].partition = 0;
	begin(s, instance,
	      run.model->versions[instance][s->clients[instance].transaction] == 1 ? ADD : PRODUCE);
}

static void take_pair(struct client *c, const struct message *m)
{
	if (m->id == c->id && m->epoch == c->epoch)
		return;
	c->id = m->id;
	c->epoch = m->epoch;
	memset(c->sequences, 0, sizeof c->sequences);
}

/* The next transaction, or the end of all. */
static void ended(struct state *s, int instance)
{
	struct client *c = &s->clients[instance];

	c->told[c->transaction] = c->outcome;
	c->outcome = NONE;
	if (c->transaction + 1 == TRANSACTIONS) {
		c->where = DONE;
		return;
	}
	bool is_upgrade = run.model->versions[instance][c->transaction] !=
			  run.model->versions[instance][c->transaction + 1];
	c->transaction++;
	if (c->must_resume || is_upgrade) {
		c->must_resume = 0;
		c->is_resuming = 1;
		begin(s, instance, INIT);
		return;
	}
	c->where = IDLE; /* it may resume all the same: see next_steps */
}

static void end_with(struct state *s, int instance, int outcome)
{
	struct client *c = &s->clients[instance];

	c->outcome = (uint8_t)outcome;
	c->wanted[c->transaction] = (uint8_t)outcome;
	begin(s, instance, END);
}

/* The answer to the request that it waits for is an error. One who has the newest pair did nothing wrong, unless it forgot its
 * transaction: then nobody may have told it, when that had timed out, but its commit is refused. */
static void failed(struct state *s, int instance, const struct message *m)
{
	struct client *c = &s->clients[instance];

	rule(!is_in(s, m->incarnation) || s->has_expired || c->has_misused || run.model->has_errors,
	     "the newest instance gets no errors");
	rule(s->holder != m->incarnation || s->has_expired || m->request != END ||
		     m->outcome != ABORT || m->version == 1 || run.model->has_errors,
	     "a producer whose transaction timed out may abort it");
	if (m->request == PRODUCE && m->err == ERR_INVALID_PRODUCER_EPOCH) {
		end_with(s, instance, ABORT);
		return;
	}
	c->where = STOPPED;
}

static void succeeded(struct state *s, int instance, const struct message *m)
{
	struct client *c = &s->clients[instance];

	switch (m->request) {
	case INIT:
		take_pair(c, m);
		c->incarnation = m->incarnation;
		c->is_resuming = 0;
		if (c->is_misusing) /* it goes on as if nothing had been */
			end_with(s, instance, COMMIT);
		else
			begin_transaction(s, instance);
		c->is_misusing = 0;
		return;
	case ADD:
		if (++c->partition < parts()) {
			begin(s, instance, ADD);
			return;
		}
		c->partition = 0;
		begin(s, instance, PRODUCE);
		return;
	case PRODUCE:
		c->acked[c->transaction] |= (uint8_t)(1 << c->partition);
		c->sequences[c->partition]++;
		if (++c->partition < parts()) {
			begin(s, instance, PRODUCE);
			return;
		}
		c->where = IDLE; /* commit or abort: see next_steps */
		c->request = END;
		return;
	default:
		if (m->version == 2)
			take_pair(c, m);
		ended(s, instance);
	}
}

/* --- steps --- */

static void search(const struct state *s);

/* The step is done in s: on to what follows. */
static void step(struct state *s, const char *what, const struct message *m)
{
	static const char *const requests[] = {"InitProducerId", "AddPartitions", "Produce",
					       "EndTxn"};

	run.steps++;
	if (m)
		snprintf(run.path[run.depth], sizeof run.path[0],
			 "%s: %c's %s%s of transaction %d, attempt %d, pair %d %d, err %d", what,
			 'A' + m->instance, m->is_answer ? "answer to " : "", requests[m->request],
			 m->transaction, m->attempt, m->id, m->epoch, m->err);
	else
		snprintf(run.path[run.depth], sizeof run.path[0], "%s", what);
	if (!run.broken)
		check(s);
	if (run.broken || !remember(s))
		return;
	assert(run.depth + 1 < DEPTH_MAX);
	run.depth++;
	search(s);
	if (!run.broken)
		run.depth--;
}

static void deliver_request(struct state *s, const struct message *m)
{
	struct message answer = *m;

	answer.is_answer = 1;
	if (m->request == INIT)
		answer.err = (int16_t)serve_init(s, m, &answer);
	else if (m->request == ADD)
		answer.err = (int16_t)serve_add(s, m);
	else if (m->request == PRODUCE)
		answer.err = (int16_t)(is_group(m->partition) ? serve_offsets(s, m)
							      : serve_produce(s, m));
	else
		answer.err = (int16_t)serve_end(s, m, &answer);
	post(s, &answer);
}

static void deliver_answer(struct state *s, const struct message *m)
{
	if (!is_awaited(s, m))
		return;
	if (m->err)
		failed(s, m->instance, m);
	else
		succeeded(s, m->instance, m);
}

static void network_steps(const struct state *s)
{
	for (int i = 0; i < s->message_count && !run.broken; i++) {
		const struct message m = s->messages[i];
		struct state next = *s;
		if (m.is_answer) {
			take_out(&next, i);
			deliver_answer(&next, &m);
			step(&next, "arrives", &m);
			continue;
		}
		take_out(&next, i);
		deliver_request(&next, &m);
		step(&next, "arrives", &m);
		if (run.broken || s->duplicates == run.model->duplicates)
			continue;
		next = *s;
		next.duplicates++;
		deliver_request(&next, &m);
		step(&next, "arrives, and will again", &m);
	}
}

/* A client that waits: it may give up waiting. */
static void waiting_steps(const struct state *s, int instance)
{
	struct state next = *s;
	struct client *c = &next.clients[instance];

	if (s->resends < run.model->resends) {
		next.resends++;
		c->attempt++;
		c->connection = connect_anew(&next);
		send(&next, instance);
		step(&next, instance ? "B sends again" : "A sends again", NULL);
	}
	if (run.broken || c->request != PRODUCE || s->give_ups == run.model->give_ups)
		return;
	next = *s;
	next.give_ups++;
	/* Nobody knows whether the batch will come: its sequence number must not be used again. */
	c->must_resume = run.model->versions[instance][c->transaction] == 1;
	c->connection = connect_anew(&next);
	end_with(&next, instance, ABORT);
	step(&next, instance ? "B gives its batch up" : "A gives its batch up", NULL);
}

static void idle_steps(const struct state *s, int instance)
{
	struct state next = *s;
	struct client *c = &next.clients[instance];

	if (c->number == 0) {
		c->connection = connect_anew(&next);
		begin(&next, instance, INIT);
		step(&next, instance ? "B starts" : "A starts", NULL);
		return;
	}
	if (c->request == END && c->outcome == NONE && c->told[c->transaction] == NONE &&
	    c->acked[c->transaction]) {
		end_with(&next, instance, COMMIT);
		step(&next, instance ? "B commits" : "A commits", NULL);
		if (run.broken)
			return;
		next = *s;
		end_with(&next, instance, ABORT);
		step(&next, instance ? "B aborts" : "A aborts", NULL);
		if (run.broken || !run.model->has_misuse)
			return;
		next = *s;
		c->is_misusing = c->has_misused = 1;
		begin(&next, instance, INIT);
		step(&next, instance ? "B forgets its transaction" : "A forgets its transaction",
		     NULL);
		return;
	}
	begin_transaction(&next, instance);
	step(&next, instance ? "B begins" : "A begins", NULL);
	if (run.broken || s->resumes == run.model->resumes)
		return;
	next = *s;
	next.resumes++;
	c->is_resuming = 1;
	begin(&next, instance, INIT);
	step(&next, instance ? "B resumes" : "A resumes", NULL);
}

static void time_steps(const struct state *s)
{
	struct state next = *s;
	struct transaction t;
	struct transaction_effects fx;

	load(s, &t);
	if (transaction_deadline(&t) < INT64_MAX && s->timeouts < run.model->timeouts) {
		next.timeouts++;
		next.is_out = true;
		transaction_abort(&t, NOW_MS, &fx);
		carry_out(&next, &t, &fx);
		step(&next, "the transaction times out", NULL);
	} else if (transaction_expiry(&t, 1) < INT64_MAX && s->expiries < run.model->expiries) {
		next.expiries++;
		next.has_expired = 1;
		transaction_expire(&t, NOW_MS, &fx);
		carry_out(&next, &t, &fx);
		step(&next, "the id expires", NULL);
	} else {
		transaction_fini(&t);
	}
}

static void restart_step(const struct state *s)
{
	struct state next = *s;

	if (s->restarts == run.model->restarts)
		return;
	next.restarts++;
	memset(next.newest, 0, sizeof next.newest);
	memset(next.messages, 0, sizeof next.messages);
	next.message_count = 0;
	step(&next, "the broker starts anew", NULL);
}

/* Nothing can happen any more but that somebody new comes: that must do, and leave nothing open. */
static void last_step(const struct state *s)
{
	struct state next = *s;
	const struct message m = {.request = INIT, .instance = 1, .epoch = -1, .connection = 250};
	struct message answer = m;

	run.ends++;
	rule(serve_init(&next, &m, &answer) == ERR_NONE, "a new instance can always begin");
	for (int p = 0; p < parts(); p++)
		for (int i = 0; i < next.logs[p].count; i++)
			rule(next.logs[p].records[i].fate != NONE, "nothing stays open for ever");
}

static void search(const struct state *s)
{
	const size_t before = run.steps;

	network_steps(s);
	for (int i = 0; i < INSTANCES && !run.broken; i++) {
		if (s->clients[i].where == IDLE)
			idle_steps(s, i);
		else if (s->clients[i].where == WAITING)
			waiting_steps(s, i);
	}
	if (!run.broken)
		time_steps(s);
	if (!run.broken)
		restart_step(s);
	if (!run.broken && run.steps == before)
		last_step(s);
}

/* --- runs --- */

static void start(struct state *s)
{
	memset(s, 0, sizeof *s);
	s->next_connection = 1;
	s->next_id = FIRST_ID;
	s->holder = NOBODY;
	if (run.model->first_epoch == 0)
		return;
	/* As if many had been there before. */
	struct transaction t = TRANSACTION_NONE;
	struct transaction_effects fx = {.is_changed = true, .used_id = true};
	t.producer_id = FIRST_ID;
	t.producer_epoch = (int16_t)(run.model->first_epoch - 1);
	t.timeout_ms = 1000;
	t.update_ms = NOW_MS;
	s->max_id = FIRST_ID;
	s->max_epoch = t.producer_epoch;
	carry_out(s, &t, &fx);
}

static void explore(const struct model *m)
{
	struct state s;

	run.model = m;
	run.seen_count = run.steps = run.ends = 0;
	run.depth = 0;
	run.broken = NULL;
	free(run.seen);
	run.seen = NULL;
	run.seen_cap = 0;
	start(&s);
	remember(&s);
	search(&s);
	print_message("%s: %zu states, %zu steps, %zu ends\n", m->name, run.seen_count, run.steps,
		      run.ends);
}

static void print_path(void)
{
	for (int i = 0; i <= run.depth; i++)
		print_message("%3d %s\n", i, run.path[i]);
}

/* All four transactions of one version. */
static struct model model_of(const char *name, uint8_t version)
{
	struct model m = {.name = name, .partitions = 1, .resends = 1};

	memset(m.versions, version, sizeof m.versions);
	return m;
}

static void must_hold(struct model m)
{
	const char *is_long = getenv("KS_LONG");

	if (is_long && *is_long == '1') {
		m.resends++;
		m.timeouts = 1;
	}
	explore(&m);
	if (!run.broken)
		return;
	print_path();
	fail_msg("%s: it does not hold that %s", m.name, run.broken);
}

static void requests_of_version_2_may_come_in_any_order_and_twice(void **state)
{
	struct model m = model_of("version 2", 2);

	(void)state;
	m.duplicates = 1;
	must_hold(m);
}

static void test_a1_version_1_holds_with_the_defence(void **state)
{
	struct model m = model_of("version 1", 1);

	(void)state;
	m.has_defence = true;
	m.timeouts = 1;
	must_hold(m);
}

static void test_a1_version_1_breaks_without_the_defence(void **state)
{
	struct model m = model_of("version 1, no defence", 1);

	(void)state;
	m.has_errors = true;
	explore(&m);
	assert_non_null(run.broken);
	assert_string_equal(run.broken,
			    "a record is committed only if its producer asked for that");
}

static void test_a2_a_batch_that_was_given_up_may_come_at_any_time(void **state)
{
	struct model m = model_of("version 1, given up", 1);

	(void)state;
	m.resends = 0;
	m.has_defence = true;
	m.give_ups = 1;
	must_hold(m);
	m = model_of("version 2, given up", 2);
	m.give_ups = 1;
	must_hold(m);
}

static void test_a4_two_partitions_end_alike(void **state)
{
	struct model m = model_of("two partitions", 2);

	(void)state;
	m.partitions = 2;
	must_hold(m);
}

static void test_a4_a_partition_and_the_offsets_of_a_group_end_alike(void **state)
{
	struct model m = model_of("a group", 2);

	(void)state;
	m.has_group = true;
	must_hold(m);
	m = model_of("a group, version 1", 1);
	m.resends = 0;
	m.give_ups = 1;
	m.has_group = m.has_defence = true;
	must_hold(m);
}

static void test_a10_epochs_end_at_any_time(void **state)
{
	struct model m = model_of("last epochs", 2);

	(void)state;
	m.first_epoch = LAST_EPOCH - 1;
	m.resumes = 1;
	m.timeouts = 1;
	must_hold(m);
}

static void test_a11_a_timeout_comes_at_any_time(void **state)
{
	struct model m = model_of("timeouts", 2);

	(void)state;
	m.timeouts = 1;
	must_hold(m);
}

static void test_a12_an_id_expires_at_any_time(void **state)
{
	struct model m = model_of("expiry", 2);

	(void)state;
	m.resends = 0;
	m.resumes = 1;
	m.expiries = 2;
	must_hold(m);
}

static void test_a14_init_comes_within_a_transaction(void **state)
{
	struct model m = model_of("misuse", 2);

	(void)state;
	m.has_misuse = true;
	must_hold(m);
}

static void test_a19_versions_mix(void **state)
{
	struct model m = model_of("a version each", 1);

	(void)state;
	m.has_defence = true;
	memset(m.versions[0], 2, sizeof m.versions[0]);
	must_hold(m);
	m.name = "from version 1 to 2";
	for (int i = 0; i < INSTANCES; i++) {
		m.versions[i][0] = 1;
		m.versions[i][1] = 2;
	}
	must_hold(m);
}

static void a_start_of_the_broker_comes_at_any_time(void **state)
{
	struct model m = model_of("restart", 1);

	(void)state;
	m.has_defence = true;
	m.restarts = 1;
	must_hold(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_version_2_may_come_in_any_order_and_twice),
		cmocka_unit_test(test_a1_version_1_holds_with_the_defence),
		cmocka_unit_test(test_a1_version_1_breaks_without_the_defence),
		cmocka_unit_test(test_a2_a_batch_that_was_given_up_may_come_at_any_time),
		cmocka_unit_test(test_a4_two_partitions_end_alike),
		cmocka_unit_test(test_a4_a_partition_and_the_offsets_of_a_group_end_alike),
		cmocka_unit_test(test_a10_epochs_end_at_any_time),
		cmocka_unit_test(test_a11_a_timeout_comes_at_any_time),
		cmocka_unit_test(test_a12_an_id_expires_at_any_time),
		cmocka_unit_test(test_a14_init_comes_within_a_transaction),
		cmocka_unit_test(test_a19_versions_mix),
		cmocka_unit_test(a_start_of_the_broker_comes_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The broker of the model checker: txn/transaction.c, txn/defence.c and txn/producer.c, put together as the shard does it. */
#include "txn_model.h"

static struct log *log_of(struct state *s, int partition)
{
	assert(partition < model_parts());
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
void shard_carry_out(struct state *s, struct transaction *t, struct transaction_effects *fx)
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

enum ks_err shard_serve_init(struct state *s, const struct message *m, struct message *answer)
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

	model_load(s, &t);
	const bool is_within = t.state == TRANSACTION_ONGOING && t.producer_id == m->id &&
			       t.producer_epoch == m->epoch;
	enum ks_err err = transaction_init_producer(&t, &init, &fx);
	rule(!is_within || (err == ERR_PRODUCER_FENCED && fx.is_ended && !fx.is_committed),
	     "InitProducerId within a transaction aborts it and is an error");
	int64_t id = fx.producer_id;
	int16_t epoch = fx.producer_epoch;
	if (err && fx.is_changed) {
		rule(run.model->has_misuse, "a late InitProducerId changes nothing");
		s->holder = NOBODY;
	}
	rule(err || !m->id || m->incarnation == s->incarnations || s->expiries > 1,
	     "an instance that was replaced does not come back");
	shard_carry_out(s, &t, &fx);
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
		model_is_group(m->partition)
			? transaction_add_group(t, &claim, model_group, NOW_MS, &fx)
			: transaction_add_partitions(t, &claim, &partition, 1, NOW_MS, &fx);

	rule(err || model_is_in(s, m->incarnation),
	     "only the newest instance begins a transaction");
	shard_carry_out(s, t, &fx);
	return err;
}

enum ks_err shard_serve_add(struct state *s, const struct message *m)
{
	struct transaction t;

	model_load(s, &t);
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
	rule(model_is_in(s, m->incarnation), "only the newest instance appends");
	producer_add(p, claim, l->count, NOW_MS);
	producer_store(l, m->id, p);
	l->records[l->count++] = (struct record){m->instance, m->transaction, m->id, NONE};
}

enum ks_err shard_serve_produce(struct state *s, const struct message *m)
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
	model_load(s, &t);
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
enum ks_err shard_serve_offsets(struct state *s, const struct message *m)
{
	struct transaction t;
	const struct transaction_claim who = claim_of(m);
	struct log *l = log_of(s, m->partition);
	bool is_new = false;

	model_load(s, &t);
	enum ks_err err = defend(s, DEFENCE_OFFSETS, &t, m);
	if (err == ERR_NONE)
		err = transaction_check_group(&t, &who, model_group, &is_new);
	if (err == ERR_NONE && is_new)
		err = add_partition(s, &t, m);
	else
		transaction_fini(&t);
	if (err)
		return transaction_wire_error(err, 28, m->version == 2 ? 5 : 4);
	rule(model_is_in(s, m->incarnation), "only the newest instance commits offsets");
	for (int i = 0; i < l->count; i++)
		if (l->records[i].instance == m->instance &&
		    l->records[i].transaction == m->transaction && l->records[i].fate == NONE)
			return ERR_NONE;
	assert(l->count < LOG_MAX);
	l->records[l->count++] = (struct record){m->instance, m->transaction, m->id, NONE};
	return ERR_NONE;
}

enum ks_err shard_serve_end(struct state *s, const struct message *m, struct message *answer)
{
	struct transaction t;
	struct transaction_effects fx;
	const struct transaction_claim claim = claim_of(m);

	model_load(s, &t);
	enum ks_err err = defend(s, DEFENCE_COORDINATOR, &t, m);
	if (err) {
		transaction_fini(&t);
		return err;
	}
	err = transaction_end(&t, &claim, m->outcome == COMMIT, s->next_id, NOW_MS, &fx);
	rule(err || !fx.is_changed || model_is_in(s, m->incarnation) ||
		     (s->holder == m->incarnation && m->outcome == ABORT && !fx.is_ended),
	     "only the newest instance ends a transaction");
	answer->id = (uint8_t)fx.producer_id;
	answer->epoch = fx.producer_epoch;
	run.is_end_v1 = m->version == 1;
	shard_carry_out(s, &t, &fx);
	run.is_end_v1 = false;
	if (err == ERR_NONE && m->version == 2)
		check_pair(s, m->incarnation, answer->id, answer->epoch);
	return err;
}

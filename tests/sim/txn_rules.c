/* What the model checker has seen, and the rules that hold in every state. */
#include "txn_model.h"

#include <xxhash.h>

struct run run;
const struct slice model_group = {(const uint8_t *)"g", 1};

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

void model_take_out(struct state *s, int i)
{
	s->messages[i] = s->messages[--s->message_count];
	memset(&s->messages[s->message_count], 0, sizeof *s->messages);
}

void model_post(struct state *s, const struct message *m)
{
	assert(s->message_count < MESSAGES_MAX);
	s->messages[s->message_count++] = *m;
}

bool model_is_awaited(const struct state *s, const struct message *m)
{
	const struct client *c = &s->clients[m->instance];

	return c->where == WAITING && c->number == m->number && c->attempt == m->attempt;
}

/* Whether it was not seen before. */
bool model_remember(struct state *s)
{
	/* An answer to a request that was given up comes on a connection that is closed. */
	for (int i = s->message_count; i-- > 0;)
		if (s->messages[i].is_answer && !model_is_awaited(s, &s->messages[i]))
			model_take_out(s, i);
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

int model_parts(void)
{
	return run.model->partitions + run.model->has_group;
}

bool model_is_group(int part)
{
	return part == run.model->partitions;
}

void model_load(const struct state *s, struct transaction *t)
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
	bool is_part = model_is_group(partition)
			       ? transaction_parts_has_group(&t->parts, model_group)
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

	for (int p = 0; p < model_parts(); p++) {
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
bool model_is_in(const struct state *s, uint8_t incarnation)
{
	return incarnation != NOBODY && incarnation == s->holder && !s->is_out;
}

void model_check(const struct state *s)
{
	struct transaction t;

	model_load(s, &t);
	for (int p = 0; p < model_parts(); p++)
		for (int i = 0; i < s->logs[p].count; i++)
			check_record(s, &t, p, &s->logs[p].records[i]);
	for (int i = 0; i < INSTANCES; i++)
		for (int k = 0; k < TRANSACTIONS; k++)
			check_transaction(s, i, k);
	rule(t.state != TRANSACTION_ONGOING || transaction_deadline(&t) < INT64_MAX,
	     "an open transaction times out");
	rule(t.state != TRANSACTION_ONGOING || model_is_in(s, s->holder),
	     "an open transaction has a producer");
	rule(t.state != TRANSACTION_ONGOING || transaction_expiry(&t, 1) == INT64_MAX,
	     "an id with an open transaction does not expire");
	transaction_fini(&t);
}

/* fuzz_transactions.c - any bytes as the stored value of a transactional id, and as a row of requests to one.
 *
 * The first byte says which. A value is refused, or stored again as the same bytes. A row of requests, of clients that follow no
 * protocol, meets no assert; an error changes nothing but where the header says so, and what a step leaves can be stored and read.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "txn/defence.h"
#include "txn/transaction.h"

#define FIRST_ID 3
#define STEPS    500

struct script {
	const uint8_t *at, *end;
	struct transaction t;
	struct transaction_defence d;
	int64_t next_id, now_ms;
};

static uint8_t next(struct script *s)
{
	return s->at < s->end ? *s->at++ : 0;
}

static void must(bool holds)
{
	if (!holds)
		abort();
}

/* Pairs near the one that is right, and some that cannot be. */
static struct transaction_claim next_claim(struct script *s)
{
	uint8_t how = next(s);
	int64_t id = s->t.producer_id + (how >> 2 & 3) - 1;
	int epoch = s->t.producer_epoch + (how >> 4 & 3) - 1;

	if (how >> 6 == 3) {
		id = s->t.last_producer_id;
		epoch = s->t.last_producer_epoch;
	}
	return (struct transaction_claim){id, (int16_t)epoch, how & 1 ? 2 : 1};
}

static struct slice next_group(struct script *s)
{
	size_t len = next(s);
	size_t left = (size_t)(s->end - s->at);
	struct slice group = slice_of(s->at, len < left ? len : left);

	s->at += group.len;
	return group;
}

static enum ks_err init(struct script *s, struct transaction *t, struct transaction_effects *fx)
{
	struct transaction_claim claim = next_claim(s);
	uint8_t how = next(s);
	struct transaction_init i = {
		.producer_id = how & 1 ? -1 : claim.producer_id,
		.producer_epoch = how & 2 ? -1 : claim.producer_epoch,
		.enable_2pc = (how & 0xf0) == 0xf0,
		.keep_prepared_txn = (how & 0xf0) == 0xe0,
		.timeout_ms = (how & 0xf0) == 0xd0 ? -1 : how >> 2,
		.timeout_max_ms = 60,
		.new_producer_id = s->next_id,
		.now_ms = s->now_ms,
	};
	return transaction_init_producer(t, &i, fx);
}

static enum ks_err add(struct script *s, struct transaction *t, struct transaction_effects *fx)
{
	const struct transaction_claim claim = next_claim(s);
	uint32_t ids[16];
	size_t count = next(s) % 16;

	for (size_t i = 0; i < count; i++)
		ids[i] = next(s);
	return transaction_add_partitions(t, &claim, ids, count, s->now_ms, fx);
}

static enum ks_err add_group(struct script *s, struct transaction *t,
			     struct transaction_effects *fx)
{
	const struct transaction_claim claim = next_claim(s);

	return transaction_add_group(t, &claim, next_group(s), s->now_ms, fx);
}

static enum ks_err end(struct script *s, struct transaction *t, struct transaction_effects *fx)
{
	const struct transaction_claim claim = next_claim(s);

	return transaction_end(t, &claim, next(s) & 1, s->next_id, s->now_ms, fx);
}

/* What is asked before something is added says what adding it will do. */
static enum ks_err check(struct script *s, struct transaction *t, struct transaction_effects *fx)
{
	const struct transaction_claim claim = next_claim(s);
	const uint32_t id = next(s);
	bool is_new = false;

	defence_check(&s->d, id % DEFENCE_KINDS, t, &claim, next(s));
	enum ks_err err = transaction_check_partition(t, &claim, id, &is_new);
	if (err || !is_new)
		return err;
	err = transaction_add_partitions(t, &claim, &id, 1, s->now_ms, fx);
	must(err == ERR_NONE || err == ERR_POLICY_VIOLATION);
	return err;
}

static enum ks_err time_passes(struct script *s, struct transaction *t,
			       struct transaction_effects *fx)
{
	s->now_ms += next(s);
	if (transaction_deadline(t) <= s->now_ms)
		transaction_abort(t, s->now_ms, fx);
	else if (transaction_expiry(t, 100) <= s->now_ms)
		transaction_expire(t, s->now_ms, fx);
	return ERR_NONE;
}

static void store(const struct transaction *t, struct buf *value)
{
	struct transaction read;

	if (t->producer_id < 0)
		return;
	value_transaction(t, value);
	must(value_transaction_decode(buf_slice(value), &read));
	transaction_fini(&read);
}

/* Compares what there was with what there is. */
static void compare(const struct script *s, const struct transaction *t, enum ks_err err,
		    const struct transaction_effects *fx)
{
	struct buf before = {0}, after = {0};

	store(&s->t, &before);
	store(t, &after);
	must(!err || !fx->is_changed || err == ERR_PRODUCER_FENCED);
	must(fx->is_changed || slice_equal(buf_slice(&before), buf_slice(&after)));
	must(fx->is_changed || (!fx->is_ended && !fx->used_id));
	must(!fx->is_ended || s->t.state == TRANSACTION_ONGOING);
	must(!fx->is_ended || fx->marker_epoch >= s->t.producer_epoch);
	must(t->producer_id < s->next_id + fx->used_id);
	buf_fini(&before);
	buf_fini(&after);
}

static void run(struct script *s)
{
	static enum ks_err (*const steps[])(struct script *, struct transaction *,
					    struct transaction_effects *) = {
		init, add, add_group, end, check, time_passes};

	s->t = TRANSACTION_NONE;
	s->next_id = FIRST_ID;
	s->now_ms = 1;
	for (int i = 0; i < STEPS && s->at < s->end; i++) {
		struct transaction_effects fx = {0};
		struct transaction copy;
		uint8_t what = next(s);
		transaction_copy(&copy, &s->t);
		/* So that epochs come to their end. */
		if (what & 0x80 && copy.producer_id >= 0 && copy.state == TRANSACTION_EMPTY)
			s->t.producer_epoch = copy.producer_epoch = 32766;
		enum ks_err err = steps[what % 6](s, &copy, &fx);
		compare(s, &copy, err, &fx);
		s->next_id += fx.used_id;
		transaction_effects_fini(&fx);
		transaction_fini(&s->t);
		s->t = copy;
	}
	transaction_fini(&s->t);
}

static void read_value(struct slice value)
{
	struct transaction t;
	struct buf again = {0};

	if (!value_transaction_decode(value, &t))
		return;
	value_transaction(&t, &again);
	must(slice_equal(value, buf_slice(&again)));
	buf_fini(&again);
	transaction_fini(&t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct script s = {.at = data + 1, .end = data + size};

	if (size == 0)
		return 0;
	if (data[0] & 1)
		read_value(slice_of(data + 1, size - 1));
	else
		run(&s);
	return 0;
}

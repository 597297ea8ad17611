/* transactions_power.c - what a power loss may have taken from transactions; see transactions_impl.h.
 *
 * The batches of a transaction are answered when they are written, with any acks: its end is what waits for the disk, and
 * that sync takes everything before it along (2 MiB at most: what would be more is synced on the way). A process that is killed loses none of them. A machine that goes down may lose the last
 * ones, which their producer takes for safe, and a transaction must not go on without them. So after such a start what is open is
 * aborted, and every transactional id is fenced, also one with nothing open: all of its transaction may be lost. Its
 * producer learns of it from the next answer, at the latest from that of its EndTxn, and asks for a new pair, as after a timeout.
 *
 * How a start knows: the store says under which start of the machine there were such batches (CF_META 'u'). That is put in the synced
 * write that gives the first pair away, and deleted when the broker is closed. Where the kernel has no boot id every
 * batch is synced. A store that is opened although it lost writes has lost them by whatever cause.
 */
#include <inttypes.h>

#include "base/log.h"
#include "broker/keys.h"
#include "broker/shard.h"
#include "broker/transactions_impl.h"

#define NS_PER_MS   1000000
#define WRITE_BYTES ((size_t)4 * 1024 * 1024) /* of one write of what is aborted, about */

enum ks_err txns_power_load(struct txns *c, struct ks_why *why)
{
	const struct broker_options *o = &c->broker->options;
	const uint8_t *told = o->boot_id;
	uint8_t stored[BOOT_ID_BYTES];
	struct buf value = {0};

	c->boot.is_known = told ? true : boot_id_read(c->boot.id);
	if (told)
		memcpy(c->boot.id, told, sizeof c->boot.id);
	c->broker->options.boot_id = NULL;
	enum ks_err err = store_get(c->broker->store, CF_META, key_boot, &value);
	bool is_there = !err;
	if (err == ERR_NOT_FOUND)
		err = ERR_NONE;
	if (err)
		ks_fail(why, err,
			"cannot read under which start of the machine the store was open");
	else if (is_there && !boot_decode(buf_slice(&value), stored))
		err = ks_fail(why, ERR_CORRUPTION, "the id of the machine's start is malformed");
	else if (is_there)
		c->boot.was_other =
			!c->boot.is_known || memcmp(stored, c->boot.id, sizeof stored) != 0;
	c->boot.was_other |= o->store.accept_lost_writes;
	buf_fini(&value);
	return err;
}

static void put_boot(struct txns *c, struct group *g)
{
	struct value_boot value = value_boot(c->boot.id);

	if (!KS_SEEDED_BUG(153))
		store_put(g->write, CF_META, key_boot, KEY_SLICE(value));
	c->boot.is_stored = true;
}

void txn_power_note(struct txn_step *s)
{
	if (s->c->boot.is_known && !s->c->boot.is_stored)
		put_boot(s->c, s->g);
}

bool txns_sync_late(const struct txns *c)
{
	return c->boot.is_stored;
}

/* --- after a power loss --- */

struct fencing {
	struct call call;
	struct txns *txns;
	size_t at; /* in the table: up to here they are fenced */
	size_t fenced, aborted;
};

static void fence_one(struct txn_step *s, struct fencing *f, struct txn_entry *x)
{
	struct transaction_effects fx;

	transaction_fence(&x->t, s->g->now_ms, &fx);
	f->fenced += fx.is_changed;
	f->aborted += fx.is_ended;
	txn_settle(s, x, &fx);
}

/* As many as one write takes. No id comes or goes meanwhile. */
static enum ks_err fence_apply(struct call *call, struct group *g)
{
	struct fencing *f = (struct fencing *)call;
	struct txns *c = f->txns;
	struct txn_step s = {c, g, clock_monotonic_ns(&c->broker->clock) / NS_PER_MS};

	for (; f->at < c->ids.count && group_bytes(g) < WRITE_BYTES; f->at++)
		fence_one(&s, f, c->ids.items[f->at]);
	return ERR_NONE;
}

static enum ks_err fence_all(struct txns *c, struct ks_why *why)
{
	struct fencing f = {.call = {.apply = fence_apply, .broker = c->broker, .why = why},
			    .txns = c};
	enum ks_err err = ERR_NONE;

	if (KS_SEEDED_BUG(154))
		return ERR_NONE;
	while (!err && f.at < c->ids.count)
		err = shard_call(c->broker->shard, &f.call);
	if (f.fenced)
		log_warn("txn",
			 "what transactional producers had not committed may be lost, as the "
			 "machine went down or "
			 "lost writes were accepted: open transactions aborted: %zu, producers "
			 "fenced until they "
			 "begin anew: %zu",
			 f.aborted, f.fenced);
	return err;
}

/* --- the beginning and the end --- */

struct boot_call {
	struct call call;
	struct txns *txns;
};

static enum ks_err put_apply(struct call *call, struct group *g)
{
	put_boot(((struct boot_call *)call)->txns, g);
	return ERR_NONE;
}

static enum ks_err delete_apply(struct call *call, struct group *g)
{
	struct txns *c = ((struct boot_call *)call)->txns;

	if (c->boot.is_stored)
		store_delete(g->write, CF_META, key_boot);
	c->boot.is_stored = false;
	return ERR_NONE;
}

static enum ks_err call(struct txns *c, enum ks_err (*apply)(struct call *, struct group *),
			struct ks_why *why)
{
	struct boot_call x = {.call = {.apply = apply, .broker = c->broker, .why = why}, .txns = c};

	return shard_call(c->broker->shard, &x.call);
}

enum ks_err txns_start(struct txns *c, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	if (c->boot.was_other)
		err = fence_all(c, why);
	/* Those that have a pair may go on with it. */
	if (!err && c->boot.is_known && c->ids.count)
		err = call(c, put_apply, why);
	c->due.hanging = INT64_MIN; /* the first look is at once */
	shard_tick_add(c->broker->shard, &c->tick);
	return err;
}

void txns_stop(struct txns *c)
{
	call(c, delete_apply, NULL);
}

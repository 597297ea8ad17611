/* transaction.c - see transaction.h. The rules are those of Kafka's KIP-98, KIP-360, KIP-588 and KIP-890.
 *
 * Why a late request cannot do harm. A pair is handed out once, to one producer instance: a new
 * instance gets a higher epoch or another id, and with it the last pair is forgotten. So a request that names the
 * newest pair comes from the newest instance, and one that names the last pair is a request of the same
 * instance that was sent before it learned of the newest one. In version 2 a pair also means one
 * transaction. In version 1 it means many, and a late EndTxn looks as a timely one does; that is what
 * txn/defence.h is for.
 */
#include "txn/transaction.h"

#include <assert.h>

#include "base/seeded.h"
#include "txn/value.h"

#define VALUE_VERSION 1
/* The last epoch that a client gets. The one behind it is for markers that fence its holder. */
#define EPOCH_LAST    (INT16_MAX - 1)

/* --- values --- */

void transaction_fini(struct transaction *t)
{
	transaction_parts_fini(&t->parts);
	*t = TRANSACTION_NONE;
}

void transaction_copy(struct transaction *to, const struct transaction *from)
{
	*to = *from;
	transaction_parts_copy(&to->parts, &from->parts);
}

void transaction_effects_fini(struct transaction_effects *fx)
{
	transaction_parts_fini(&fx->ended);
}

const char *transaction_state_name(enum transaction_state state)
{
	switch (state) {
	case TRANSACTION_EMPTY:
		return "Empty";
	case TRANSACTION_ONGOING:
		return "Ongoing";
	case TRANSACTION_COMPLETE_COMMIT:
		return "CompleteCommit";
	case TRANSACTION_COMPLETE_ABORT:
		return "CompleteAbort";
	case TRANSACTION_DEAD:
		return "Dead";
	}
	return "Unknown";
}

/* --- pairs --- */

static struct transaction_effects effects_none(void)
{
	return (struct transaction_effects){
		.marker_producer_id = -1,
		.marker_epoch = -1,
		.producer_id = -1,
		.producer_epoch = -1,
	};
}

static bool is_complete(const struct transaction *t)
{
	return t->state == TRANSACTION_COMPLETE_COMMIT || t->state == TRANSACTION_COMPLETE_ABORT;
}

static bool is_newest(const struct transaction *t, int64_t producer_id, int16_t epoch)
{
	return !t->is_fenced && producer_id == t->producer_id && epoch == t->producer_epoch;
}

static bool is_last(const struct transaction *t, int64_t producer_id, int16_t epoch)
{
	if (KS_SEEDED_BUG(132) && producer_id != t->producer_id)
		return false;
	return producer_id >= 0 && producer_id == t->last_producer_id &&
	       epoch == t->last_producer_epoch;
}

static void set_last(struct transaction *t, int64_t producer_id, int16_t epoch)
{
	t->last_producer_id = producer_id;
	t->last_producer_epoch = epoch;
}

/* A pair that nobody ever had: the epoch of the markers that fenced its producer, the next one, or epoch 0 of a new id. */
static void give_next_pair(struct transaction *t, int64_t new_producer_id,
			   struct transaction_effects *fx)
{
	const bool is_known = t->producer_id >= 0 && t->state != TRANSACTION_DEAD;
	const bool is_free =
		t->is_fenced && (t->producer_epoch <= EPOCH_LAST || KS_SEEDED_BUG(105));

	t->is_fenced = KS_SEEDED_BUG(204) && t->is_fenced;
	if (is_known && (is_free || KS_SEEDED_BUG(53)))
		return;
	if (is_known && (t->producer_epoch < EPOCH_LAST || KS_SEEDED_BUG(101))) {
		t->producer_epoch++;
		return;
	}
	assert(new_producer_id >= 0 && new_producer_id != t->producer_id);
	if (t->state != TRANSACTION_DEAD || !KS_SEEDED_BUG(124))
		t->producer_id = new_producer_id;
	if (!is_known || !KS_SEEDED_BUG(102))
		t->producer_epoch = 0;
	fx->used_id = !KS_SEEDED_BUG(211);
}

static void answer_pair(const struct transaction *t, struct transaction_effects *fx)
{
	fx->producer_id = t->producer_id;
	fx->producer_epoch = t->producer_epoch;
}

/* The holder of the newest pair asks. */
static enum ks_err check_claim(const struct transaction *t, const struct transaction_claim *claim)
{
	assert(claim->version == 1 || claim->version == 2);
	if ((t->state == TRANSACTION_DEAD && !KS_SEEDED_BUG(123)) || t->producer_id < 0 ||
	    claim->producer_id != t->producer_id)
		return ERR_INVALID_PRODUCER_ID_MAPPING;
	if (!is_newest(t, claim->producer_id, claim->producer_epoch) && !KS_SEEDED_BUG(51))
		return ERR_PRODUCER_FENCED;
	return ERR_NONE;
}

/* --- the only places that change the state --- */

/* From states, the states that may follow. */
#define TO(state) (1u << TRANSACTION_##state)
static const unsigned may_follow[] = {
	[TRANSACTION_EMPTY] = TO(EMPTY) | TO(ONGOING) | TO(COMPLETE_ABORT) | TO(DEAD),
	[TRANSACTION_ONGOING] = TO(EMPTY) | TO(ONGOING) | TO(COMPLETE_ABORT) | TO(COMPLETE_COMMIT),
	[TRANSACTION_COMPLETE_COMMIT] = TO(EMPTY) | TO(ONGOING) | TO(COMPLETE_ABORT) | TO(DEAD),
	[TRANSACTION_COMPLETE_ABORT] = TO(EMPTY) | TO(ONGOING) | TO(COMPLETE_ABORT) | TO(DEAD),
	[TRANSACTION_DEAD] = TO(EMPTY),
};

static void move(struct transaction *t, enum transaction_state to, int64_t now_ms,
		 struct transaction_effects *fx)
{
	assert(may_follow[t->state] & (1u << to));
	t->state = (uint8_t)to;
	if (now_ms > t->update_ms)
		t->update_ms = now_ms;
	fx->is_changed = true;
}

/* The end of the open transaction. Its markers bear marker_epoch. */
static void close_open(struct transaction *t, enum transaction_state to, int marker_epoch,
		       int64_t now_ms, struct transaction_effects *fx)
{
	assert(t->state == TRANSACTION_ONGOING);
	fx->is_ended = true;
	fx->is_committed = to == TRANSACTION_COMPLETE_COMMIT || KS_SEEDED_BUG(43);
	fx->marker_producer_id = t->producer_id;
	fx->marker_epoch = (int16_t)marker_epoch;
	fx->ended = t->parts;
	t->parts = (struct transaction_parts){0};
	if (KS_SEEDED_BUG(41) && fx->ended.partition_count)
		fx->ended.partition_count--;
	if (KS_SEEDED_BUG(42))
		fx->ended.group_count = 0;
	if (KS_SEEDED_BUG(91))
		transaction_parts_copy(&t->parts, &fx->ended);
	t->start_ms = -1;
	move(t, to, now_ms, fx);
}

static void fence(struct transaction *t)
{
	set_last(t, t->producer_id, t->producer_epoch);
	t->producer_epoch = (int16_t)(t->producer_epoch + (KS_SEEDED_BUG(104) ? 2 : 1));
	t->is_fenced = true;
}

void transaction_abort(struct transaction *t, int64_t now_ms, struct transaction_effects *fx)
{
	*fx = effects_none();
	close_open(t, TRANSACTION_COMPLETE_ABORT, t->producer_epoch + 1, now_ms, fx);
	if (!KS_SEEDED_BUG(112))
		fence(t);
}

void transaction_fence(struct transaction *t, int64_t now_ms, struct transaction_effects *fx)
{
	*fx = effects_none();
	if (t->producer_id < 0 || t->is_fenced || t->state == TRANSACTION_DEAD)
		return;
	if (t->state == TRANSACTION_ONGOING) {
		transaction_abort(t, now_ms, fx);
		return;
	}
	if (KS_SEEDED_BUG(152))
		return;
	move(t, TRANSACTION_COMPLETE_ABORT, now_ms, fx);
	fence(t);
}

/* --- InitProducerId --- */

static enum ks_err check_init(const struct transaction_init *init)
{
	if ((init->producer_id < 0) != (init->producer_epoch < 0))
		return ERR_INVALID_REQUEST;
	if (init->enable_2pc)
		return ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
	if (init->keep_prepared_txn)
		return ERR_UNSUPPORTED_VERSION;
	if (init->timeout_ms <= 0 || init->timeout_ms > init->timeout_max_ms)
		return ERR_INVALID_TRANSACTION_TIMEOUT;
	return ERR_NONE;
}

static void init_empty(struct transaction *t, const struct transaction_init *init,
		       struct transaction_effects *fx)
{
	if (t->state == TRANSACTION_ONGOING && !KS_SEEDED_BUG(52))
		close_open(t, TRANSACTION_COMPLETE_ABORT,
			   t->producer_epoch + (KS_SEEDED_BUG(171) ? 0 : 1), init->now_ms, fx);
	give_next_pair(t, init->new_producer_id, fx);
	set_last(t, init->producer_id, init->producer_epoch);
	t->timeout_ms = init->timeout_ms;
	t->version = 0;
	move(t, TRANSACTION_EMPTY, init->now_ms, fx);
	answer_pair(t, fx);
}

/* The answer to the first one was lost, or this one is late. The last outcome stays. */
static enum ks_err init_repeated(struct transaction *t, const struct transaction_init *init,
				 struct transaction_effects *fx)
{
	if (t->state == TRANSACTION_ONGOING) {
		/* Its producer has had the answer: this one is late. */
		if (KS_SEEDED_BUG(134))
			transaction_abort(t, init->now_ms, fx);
		return ERR_PRODUCER_FENCED;
	}
	if (KS_SEEDED_BUG(133))
		move(t, TRANSACTION_EMPTY, init->now_ms, fx);
	if (t->timeout_ms != init->timeout_ms) {
		t->timeout_ms = init->timeout_ms;
		fx->is_changed = true;
	}
	answer_pair(t, fx);
	return ERR_NONE;
}

enum ks_err transaction_init_producer(struct transaction *t, const struct transaction_init *init,
				      struct transaction_effects *fx)
{
	enum ks_err err = check_init(init);

	*fx = effects_none();
	if (err)
		return err;
	if (init->producer_id < 0 || t->producer_id < 0) {
		init_empty(t, init, fx);
		return ERR_NONE;
	}
	bool newest = is_newest(t, init->producer_id, init->producer_epoch);
	bool last = is_last(t, init->producer_id, init->producer_epoch);
	if (last && !t->is_fenced && t->state != TRANSACTION_DEAD && !KS_SEEDED_BUG(131))
		return init_repeated(t, init, fx);
	if (!newest && !last)
		return ERR_PRODUCER_FENCED;
	if (t->state == TRANSACTION_ONGOING && KS_SEEDED_BUG(142))
		return ERR_PRODUCER_FENCED;
	if (t->state == TRANSACTION_ONGOING && !KS_SEEDED_BUG(141)) {
		/* Half of a transaction is there and its producer has forgotten it. It must learn that. */
		transaction_abort(t, init->now_ms, fx);
		set_last(t, -1, -1);
		return ERR_PRODUCER_FENCED;
	}
	init_empty(t, init, fx);
	return ERR_NONE;
}

/* --- adding --- */

/* The claim may make the transaction grow, or begin one. */
static enum ks_err check_grow(const struct transaction *t, const struct transaction_claim *claim)
{
	enum ks_err err = check_claim(t, claim);

	if (err)
		return err;
	if (t->state == TRANSACTION_ONGOING)
		return t->version == claim->version || KS_SEEDED_BUG(191) ? ERR_NONE
									  : ERR_INVALID_TXN_STATE;
	/* The epoch has been that of a transaction of version 1 already: the batch may be a late one. */
	if (claim->version == 2 && t->version == 1 && !KS_SEEDED_BUG(193))
		return ERR_INVALID_TXN_STATE;
	return ERR_NONE;
}

/* Of something that is no part of the open transaction. */
static enum ks_err check_new_part(const struct transaction *t,
				  const struct transaction_claim *claim)
{
	enum ks_err err = check_grow(t, claim);

	if (err == ERR_NONE && claim->version == 1 && !KS_SEEDED_BUG(31))
		return ERR_TRANSACTION_ABORTABLE;
	return err;
}

enum ks_err transaction_check_partition(const struct transaction *t,
					const struct transaction_claim *claim,
					uint32_t partition_id, bool *is_new)
{
	enum ks_err err = check_claim(t, claim);

	if (err && !(KS_SEEDED_BUG(21) && err == ERR_PRODUCER_FENCED))
		return err;
	bool is_part = transaction_parts_has_partition(&t->parts, partition_id);
	if (!is_part && (err = check_new_part(t, claim)) != ERR_NONE)
		return err;
	*is_new = !is_part && !KS_SEEDED_BUG(32);
	return ERR_NONE;
}

enum ks_err transaction_check_group(const struct transaction *t,
				    const struct transaction_claim *claim, struct slice group,
				    bool *is_new)
{
	enum ks_err err = check_claim(t, claim);

	if (err)
		return err;
	bool is_part = transaction_parts_has_group(&t->parts, group);
	if (!is_part && (err = check_new_part(t, claim)) != ERR_NONE)
		return err;
	*is_new = !is_part;
	return ERR_NONE;
}

/* Something was added: a transaction is open. */
static void grow(struct transaction *t, const struct transaction_claim *claim, int64_t now_ms,
		 struct transaction_effects *fx)
{
	if (t->state != TRANSACTION_ONGOING && !KS_SEEDED_BUG(113))
		t->start_ms = now_ms;
	t->version = claim->version;
	move(t, TRANSACTION_ONGOING, now_ms, fx);
	if (KS_SEEDED_BUG(151))
		fx->is_changed = false;
}

enum ks_err transaction_add_partitions(struct transaction *t, const struct transaction_claim *claim,
				       const uint32_t *partition_ids, size_t count, int64_t now_ms,
				       struct transaction_effects *fx)
{
	enum ks_err err = check_grow(t, claim);
	bool grew = false;

	*fx = effects_none();
	if (err == ERR_NONE)
		err = transaction_parts_add_partitions(&t->parts, partition_ids, count, &grew);
	if (grew)
		grow(t, claim, now_ms, fx);
	return err;
}

enum ks_err transaction_add_group(struct transaction *t, const struct transaction_claim *claim,
				  struct slice group, int64_t now_ms,
				  struct transaction_effects *fx)
{
	enum ks_err err = check_grow(t, claim);
	bool grew = false;

	*fx = effects_none();
	if (err == ERR_NONE)
		err = transaction_parts_add_group(&t->parts, group, &grew);
	if (grew)
		grow(t, claim, now_ms, fx);
	return err;
}

/* --- EndTxn --- */

static enum transaction_state outcome(bool is_commit)
{
	return is_commit ? TRANSACTION_COMPLETE_COMMIT : TRANSACTION_COMPLETE_ABORT;
}

static enum ks_err end_v1(struct transaction *t, const struct transaction_claim *claim,
			  bool is_commit, int64_t now_ms, struct transaction_effects *fx)
{
	enum ks_err err = check_claim(t, claim);

	if (err)
		return err;
	if (t->version == 0 && KS_SEEDED_BUG(82))
		return ERR_NONE;
	if (t->version != 1 && !(t->version == 2 && KS_SEEDED_BUG(192)))
		return ERR_INVALID_TXN_STATE;
	if (t->state == TRANSACTION_ONGOING)
		close_open(t, outcome(is_commit), t->producer_epoch, now_ms, fx);
	else if ((t->state != outcome(is_commit) && !KS_SEEDED_BUG(73)) || KS_SEEDED_BUG(71))
		return ERR_INVALID_TXN_STATE;
	answer_pair(t, fx);
	return ERR_NONE;
}

/* Ends what is open, if anything is, and gives the producer another pair. */
static void end_and_advance(struct transaction *t, bool is_commit, int64_t new_producer_id,
			    int64_t now_ms, struct transaction_effects *fx)
{
	const int64_t producer_id = t->producer_id;
	const int16_t epoch = t->producer_epoch;

	if (t->state == TRANSACTION_ONGOING)
		close_open(t, outcome(is_commit), epoch + 1, now_ms, fx);
	else
		move(t, TRANSACTION_COMPLETE_ABORT, now_ms, fx);
	if (!KS_SEEDED_BUG(11) && !(KS_SEEDED_BUG(182) && !fx->is_ended))
		give_next_pair(t, new_producer_id, fx);
	set_last(t, producer_id, epoch);
	t->version = 2;
	answer_pair(t, fx);
}

/* With the pair of the last transaction, which has ended. */
static enum ks_err end_again(struct transaction *t, bool is_commit, int64_t new_producer_id,
			     int64_t now_ms, struct transaction_effects *fx)
{
	if (t->is_fenced && (is_commit || KS_SEEDED_BUG(203)) && !KS_SEEDED_BUG(111))
		return ERR_PRODUCER_FENCED;
	if (t->state != outcome(is_commit) && !KS_SEEDED_BUG(73))
		return ERR_INVALID_TXN_STATE;
	if (t->is_fenced) {
		/* It timed out, and its producer wants it aborted: that may go on. */
		give_next_pair(t, new_producer_id, fx);
		move(t, TRANSACTION_COMPLETE_ABORT, now_ms, fx);
	}
	answer_pair(t, fx);
	return ERR_NONE;
}

/* What happens with the last pair, which is that of the last transaction, and with the newest one:
 *
 *                      last pair                  newest pair
 *                      commit       abort         commit       abort
 *     ONGOING          FENCED       FENCED        ends         ends
 *     EMPTY            FENCED       FENCED        INVALID      next pair
 *     COMPLETE_COMMIT  answered     INVALID       INVALID      next pair
 *     COMPLETE_ABORT   INVALID      answered      INVALID      next pair
 *       by its timeout FENCED       next pair     FENCED       FENCED
 *
 * FENCED is PRODUCER_FENCED, INVALID is INVALID_TXN_STATE. Nothing to commit is an error: a producer that has sent nothing
 * does not ask, and one that has would lose it, for its records come behind its commit. */
static enum ks_err end_v2(struct transaction *t, const struct transaction_claim *claim,
			  bool is_commit, int64_t new_producer_id, int64_t now_ms,
			  struct transaction_effects *fx)
{
	const bool last = is_last(t, claim->producer_id, claim->producer_epoch);

	if (is_complete(t) && t->version == 2 && last && !KS_SEEDED_BUG(72))
		return end_again(t, is_commit, new_producer_id, now_ms, fx);
	enum ks_err err = check_claim(t, claim);
	if (err && !(last && KS_SEEDED_BUG(12)))
		return err;
	if (t->state != TRANSACTION_ONGOING && is_commit && !KS_SEEDED_BUG(81))
		return ERR_INVALID_TXN_STATE;
	if (t->state != TRANSACTION_ONGOING && KS_SEEDED_BUG(181))
		return ERR_INVALID_TXN_STATE;
	end_and_advance(t, is_commit, new_producer_id, now_ms, fx);
	return ERR_NONE;
}

enum ks_err transaction_end(struct transaction *t, const struct transaction_claim *claim,
			    bool is_commit, int64_t new_producer_id, int64_t now_ms,
			    struct transaction_effects *fx)
{
	*fx = effects_none();
	if (claim->version == 1)
		return end_v1(t, claim, is_commit, now_ms, fx);
	return end_v2(t, claim, is_commit, new_producer_id, now_ms, fx);
}

/* --- time --- */

int64_t transaction_deadline(const struct transaction *t)
{
	if (KS_SEEDED_BUG(103) && t->producer_epoch == EPOCH_LAST)
		return INT64_MAX;
	return t->state == TRANSACTION_ONGOING ? t->start_ms + t->timeout_ms : INT64_MAX;
}

int64_t transaction_expiry(const struct transaction *t, int64_t expiration_ms)
{
	if ((t->state == TRANSACTION_ONGOING && !KS_SEEDED_BUG(121)) || t->producer_id < 0)
		return INT64_MAX;
	return expiration_ms < INT64_MAX - t->update_ms ? t->update_ms + expiration_ms : INT64_MAX;
}

void transaction_expire(struct transaction *t, int64_t now_ms, struct transaction_effects *fx)
{
	*fx = effects_none();
	if (t->state == TRANSACTION_DEAD || KS_SEEDED_BUG(122)) {
		transaction_fini(t);
		fx->is_changed = true;
		return;
	}
	move(t, TRANSACTION_DEAD, now_ms, fx);
}

/* --- what older requests are told --- */

/* The first version of a request whose clients know PRODUCER_FENCED. */
static int16_t fenced_since(int16_t api_key)
{
	switch (api_key) {
	case 22: /* InitProducerId */
		return 4;
	case 24: /* AddPartitionsToTxn */
	case 25: /* AddOffsetsToTxn */
	case 26: /* EndTxn */
		return 2;
	default: /* Produce, TxnOffsetCommit */
		return INT16_MAX;
	}
}

enum ks_err transaction_wire_error(enum ks_err err, int16_t api_key, int16_t version)
{
	if (err == ERR_PRODUCER_FENCED && version < fenced_since(api_key) && !KS_SEEDED_BUG(201))
		return ERR_INVALID_PRODUCER_EPOCH;
	if (err == ERR_TRANSACTION_ABORTABLE && version < (api_key == 0 ? 11 : 4) &&
	    !KS_SEEDED_BUG(202))
		return ERR_INVALID_TXN_STATE;
	return err;
}

/* --- as it is stored --- */

void key_transaction(struct slice transactional_id, struct buf *key)
{
	assert(transactional_id.len > 0 && transactional_id.len <= TRANSACTIONAL_ID_MAX);
	buf_append_u8(key, KEY_TYPE_TRANSACTION);
	buf_append(key, transactional_id.data, transactional_id.len);
}

bool key_transaction_decode(struct slice key, struct slice *transactional_id)
{
	if (key.len < 2 || key.len > 1 + TRANSACTIONAL_ID_MAX ||
	    key.data[0] != KEY_TYPE_TRANSACTION)
		return false;
	*transactional_id = slice_of(key.data + 1, key.len - 1);
	return true;
}

void value_transaction(const struct transaction *t, struct buf *value)
{
	buf_append_u8(value, VALUE_VERSION);
	buf_append_u8(value, is_complete(t) && KS_SEEDED_BUG(74) ? 0 : t->state);
	buf_append_u8(value, t->version);
	buf_append_u8(value, t->is_fenced);
	buf_append_u64be(value, (uint64_t)t->producer_id);
	buf_append_u16be(value, (uint16_t)t->producer_epoch);
	buf_append_u64be(value, (uint64_t)(KS_SEEDED_BUG(135) ? -1 : t->last_producer_id));
	buf_append_u16be(value, (uint16_t)(KS_SEEDED_BUG(135) ? -1 : t->last_producer_epoch));
	buf_append_u32be(value, (uint32_t)t->timeout_ms);
	buf_append_u64be(value, (uint64_t)t->start_ms);
	buf_append_u64be(value, (uint64_t)t->update_ms);
	transaction_parts_append(&t->parts, value);
}

/* Nothing that the functions above cannot have made. */
static bool is_sound(const struct transaction *t)
{
	const bool is_open = t->state == TRANSACTION_ONGOING;

	if (t->state >= sizeof may_follow / sizeof *may_follow || !may_follow[t->state])
		return false;
	if (t->version > 2 || t->producer_id < 0 || t->producer_epoch < 0 || t->timeout_ms <= 0)
		return false;
	if ((t->last_producer_id < 0) != (t->last_producer_epoch < 0))
		return false;
	if (is_open && (t->version == 0 || t->producer_epoch > EPOCH_LAST || t->is_fenced))
		return false;
	return is_open != transaction_parts_is_empty(&t->parts) && is_open == (t->start_ms >= 0);
}

bool value_transaction_decode(struct slice value, struct transaction *t)
{
	struct cursor c = cursor_of(value);
	struct transaction read = TRANSACTION_NONE;

	if (cursor_u8(&c) != VALUE_VERSION)
		return false;
	read.state = cursor_u8(&c);
	read.version = cursor_u8(&c);
	uint8_t fenced = cursor_u8(&c);
	read.is_fenced = fenced == 1;
	read.producer_id = (int64_t)cursor_u64(&c);
	read.producer_epoch = (int16_t)cursor_u16(&c);
	read.last_producer_id = (int64_t)cursor_u64(&c);
	read.last_producer_epoch = (int16_t)cursor_u16(&c);
	read.timeout_ms = (int32_t)cursor_u32(&c);
	read.start_ms = (int64_t)cursor_u64(&c);
	read.update_ms = (int64_t)cursor_u64(&c);
	if (fenced > 1 || !transaction_parts_decode(&c, &read.parts) || !cursor_is_done(&c) ||
	    !is_sound(&read)) {
		transaction_parts_fini(&read.parts);
		return false;
	}
	*t = read;
	return true;
}

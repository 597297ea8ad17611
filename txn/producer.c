/* producer.c - see producer.h. The rules are those of Kafka's KIP-98 and KIP-360. */
#include "txn/producer.h"

#include <assert.h>

#include "base/seeded.h"
#include "txn/value.h"

#define VERSION     1 /* of a producer that never had a transaction in the partition */
#define VERSION_TXN 2

/* After INT32_MAX comes 0. */
static int32_t sequence_plus(int32_t sequence, int32_t n)
{
	uint32_t sum = (uint32_t)sequence + (uint32_t)n;

	return (int32_t)(KS_SEEDED_BUG(2071) ? sum : sum & INT32_MAX);
}

int32_t producer_last_sequence(const struct producer_claim *c)
{
	return sequence_plus(c->base_sequence, c->last_offset_delta);
}

static const struct producer_batch *find(const struct producer_state *s,
					 const struct producer_claim *c)
{
	int32_t last = producer_last_sequence(c);

	for (unsigned i = 0; i < s->count; i++)
		if (s->batches[i].base_sequence == c->base_sequence &&
		    s->batches[i].last_sequence == last)
			return &s->batches[i];
	return NULL;
}

static bool follows(const struct producer_state *s, int32_t base_sequence)
{
	if (s->last_sequence < 0)
		return base_sequence == 0;
	return base_sequence == sequence_plus(s->last_sequence, 1);
}

static bool is_of_other_transaction(const struct producer_state *s, const struct producer_claim *c)
{
	return s->txn_first_offset >= 0 && !c->is_transactional;
}

enum ks_err producer_check(const struct producer_state *s, const struct producer_claim *c,
			   const struct producer_batch **duplicate)
{
	*duplicate = NULL;
	if (s->epoch < 0)
		return ERR_NONE;
	if (c->epoch < s->epoch)
		return ERR_INVALID_PRODUCER_EPOCH;
	if (c->epoch > s->epoch) {
		if (c->base_sequence != 0)
			return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
		return s->txn_first_offset >= 0 ? ERR_INVALID_TXN_STATE : ERR_NONE;
	}
	*duplicate = KS_SEEDED_BUG(2011) || KS_SEEDED_BUG(2021) ? NULL : find(s, c);
	if (!*duplicate && !follows(s, c->base_sequence) && !KS_SEEDED_BUG(2011))
		return ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
	return is_of_other_transaction(s, c) ? ERR_INVALID_TXN_STATE : ERR_NONE;
}

void producer_add(struct producer_state *s, const struct producer_claim *c, int64_t base_offset,
		  int64_t now_ms)
{
	if (c->epoch != s->epoch)
		s->count = 0;
	if (s->count == PRODUCER_BATCHES)
		memmove(s->batches, s->batches + 1, --s->count * sizeof *s->batches);
	s->epoch = c->epoch;
	s->last_ms = now_ms;
	s->last_sequence = producer_last_sequence(c);
	if (c->is_transactional && s->txn_first_offset < 0)
		s->txn_first_offset = base_offset;
	s->batches[s->count++] = (struct producer_batch){
		.base_offset = base_offset,
		.append_ms = now_ms,
		.base_sequence = c->base_sequence,
		.last_sequence = s->last_sequence,
	};
}

void producer_forget_batches(struct producer_state *s)
{
	s->count = 0;
}

void producer_end(struct producer_state *s, int16_t epoch, int32_t coordinator_epoch,
		  bool is_commit, int64_t now_ms)
{
	assert(epoch >= s->epoch);
	if (epoch > s->epoch)
		s->last_sequence = -1;
	if (epoch > s->epoch || (!is_commit && !KS_SEEDED_BUG(2031)))
		producer_forget_batches(s);
	s->epoch = epoch;
	s->coordinator_epoch = coordinator_epoch;
	s->txn_first_offset = -1;
	s->last_ms = now_ms;
}

/* --- as it is stored --- */

struct key_producer key_producer(uint32_t partition_id, int64_t producer_id)
{
	struct key_producer k;

	k.bytes[0] = KEY_TYPE_PRODUCER;
	put_u32be(k.bytes + 1, partition_id);
	put_u64be(k.bytes + 5, (uint64_t)producer_id);
	return k;
}

bool key_producer_decode(struct slice key, uint32_t *partition_id, int64_t *producer_id)
{
	if (key.len != KEY_PRODUCER_BYTES || key.data[0] != KEY_TYPE_PRODUCER)
		return false;
	*partition_id = get_u32be(key.data + 1);
	*producer_id = (int64_t)get_u64be(key.data + 5);
	return *producer_id >= 0;
}

size_t value_producer(const struct producer_state *s, uint8_t value[VALUE_PRODUCER_BYTES_MAX])
{
	const unsigned count = s->count;
	uint8_t *at = value + 16;

	assert(count <= PRODUCER_BATCHES);
	bool has_txn = s->txn_first_offset >= 0 || s->coordinator_epoch >= 0;
	value[0] = has_txn ? VERSION_TXN : VERSION;
	put_u16be(value + 1, (uint16_t)s->epoch);
	put_u32be(value + 3, (uint32_t)s->last_sequence);
	put_u64be(value + 7, (uint64_t)s->last_ms);
	value[15] = (uint8_t)count;
	for (unsigned i = 0; i < count; i++, at += 24) {
		put_u32be(at, (uint32_t)s->batches[i].base_sequence);
		put_u32be(at + 4, (uint32_t)s->batches[i].last_sequence);
		put_u64be(at + 8, (uint64_t)s->batches[i].base_offset);
		put_u64be(at + 16, (uint64_t)s->batches[i].append_ms);
	}
	if (has_txn) {
		put_u64be(at, (uint64_t)s->txn_first_offset);
		put_u32be(at + 8, (uint32_t)s->coordinator_epoch);
		at += 12;
	}
	return (size_t)(at - value);
}

static bool batch_decode(struct cursor *c, struct producer_batch *b)
{
	b->base_sequence = (int32_t)cursor_u32(c);
	b->last_sequence = (int32_t)cursor_u32(c);
	b->base_offset = (int64_t)cursor_u64(c);
	b->append_ms = (int64_t)cursor_u64(c);
	return b->base_sequence >= 0 && b->last_sequence >= 0 && b->base_offset >= 0;
}

static bool txn_decode(struct cursor *c, struct producer_state *s)
{
	s->txn_first_offset = (int64_t)cursor_u64(c);
	s->coordinator_epoch = (int32_t)cursor_u32(c);
	return s->txn_first_offset >= -1 && s->coordinator_epoch >= -1 &&
	       (s->txn_first_offset >= 0 || s->coordinator_epoch >= 0);
}

bool value_producer_decode(struct slice value, struct producer_state *s)
{
	struct cursor c = cursor_of(value);
	uint8_t version = cursor_u8(&c);

	if (version != VERSION && version != VERSION_TXN)
		return false;
	*s = PRODUCER_UNKNOWN;
	s->epoch = (int16_t)cursor_u16(&c);
	s->last_sequence = (int32_t)cursor_u32(&c);
	s->last_ms = (int64_t)cursor_u64(&c);
	s->count = cursor_u8(&c);
	if (s->count > PRODUCER_BATCHES || s->epoch < 0 || s->last_sequence < -1)
		return false;
	for (unsigned i = 0; i < s->count; i++)
		if (!batch_decode(&c, &s->batches[i]))
			return false;
	if (version == VERSION_TXN && !txn_decode(&c, s))
		return false;
	return cursor_is_done(&c) &&
	       (s->count == 0 || s->batches[s->count - 1].last_sequence == s->last_sequence);
}

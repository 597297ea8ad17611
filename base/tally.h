/* tally.h - how often values of which size came: what stands behind a histogram on /metrics.
 *
 * Log-linear and bounded: two buckets for each power of two, from 2^first_bits on; smaller values are in
 * the first bucket, those beyond the last one in an extra one. One thread adds at a time, any thread reads; a
 * reader may see a value in the count that is not yet in the sum.
 */
#ifndef BASE_TALLY_H
#define BASE_TALLY_H

#include <stdatomic.h>
#include <stdint.h>

#define TALLY_BUCKETS 46

/* In place: {.first_bits = n}, else zeros. */
struct tally {
	unsigned first_bits; /* from 1 on; 13 for nanoseconds: from 8 us to 69 s */
	_Atomic(uint64_t) counts[TALLY_BUCKETS + 1];
	_Atomic(uint64_t) sum;
};

#define TALLY_NS_BITS 13

/* One thread at a time adds; others may read meanwhile. */
void tally_add(struct tally *t, uint64_t value);
/* The largest value of a bucket: 2^first_bits, then 1.5 and 2 times that, and so on. */
uint64_t tally_bound(const struct tally *t, int bucket);

/* A counter that one thread at a time moves, without the price of a locked instruction. */
static inline void counter_add(_Atomic(uint64_t) *counter, uint64_t n)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + n,
			      memory_order_relaxed);
}
static inline uint64_t counter_get(_Atomic(uint64_t) *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

#endif

/* tally.c - see tally.h. */
#include "base/tally.h"

uint64_t tally_bound(const struct tally *t, int bucket)
{
	uint64_t octave = UINT64_C(1) << (t->first_bits + (unsigned)bucket / 2);
	return bucket % 2 ? octave + octave / 2 : octave;
}

/* Bucket 2n ends at 2^(first_bits + n), bucket 2n + 1 half an octave above. */
static int bucket_of(const struct tally *t, uint64_t value)
{
	if (value <= UINT64_C(1) << t->first_bits)
		return 0;
	unsigned bits = 63u - (unsigned)__builtin_clzll(value - 1);
	unsigned upper_half = (value - 1) >> (bits - 1) & 1;
	unsigned bucket = 2 * (bits - t->first_bits) + 1 + upper_half;
	return bucket < TALLY_BUCKETS ? (int)bucket : TALLY_BUCKETS;
}

void tally_add(struct tally *t, uint64_t value)
{
	counter_add(&t->counts[bucket_of(t, value)], 1);
	counter_add(&t->sum, value);
}

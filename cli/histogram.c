/* histogram.c - see histogram.h. */
#include "cli/histogram.h"

#include <stddef.h>

/* A value with its highest bit at place e >= 6 lies in row e - 6; its next five bits are the place
 * in the row:      1xxxxx..........
 *                  e   e-5          */
static size_t bucket_of(uint64_t v)
{
	if (v < 64)
		return (size_t)v;
	unsigned e = 63 - (unsigned)__builtin_clzll(v);
	return 64 + (e - 6) * 32 + (size_t)((v >> (e - 5)) & 31);
}

/* The largest value that falls into the bucket. */
static uint64_t bucket_end(size_t b)
{
	if (b < 64)
		return b;
	unsigned shift = (unsigned)(b - 64) / 32 + 1; /* e - 5 */
	uint64_t first = (32 + (b - 64) % 32) << shift;
	return first + ((UINT64_C(1) << shift) - 1);
}

void histogram_record(struct histogram *h, int64_t value)
{
	if (value < 0)
		value = 0;
	h->counts[bucket_of((uint64_t)value)]++;
	if (h->count == 0 || value < h->min)
		h->min = value;
	if (h->count == 0 || value > h->max)
		h->max = value;
	h->count++;
	h->sum += (double)value;
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
	if (from->count == 0)
		return;
	for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++)
		h->counts[b] += from->counts[b];
	if (h->count == 0 || from->min < h->min)
		h->min = from->min;
	if (h->count == 0 || from->max > h->max)
		h->max = from->max;
	h->count += from->count;
	h->sum += from->sum;
}

int64_t histogram_quantile(const struct histogram *h, double q)
{
	uint64_t seen = 0;

	for (size_t b = 0; b < HISTOGRAM_BUCKETS; b++) {
		seen += h->counts[b];
		if (seen == 0 || (double)seen < q * (double)h->count)
			continue;
		uint64_t end = bucket_end(b);
		return end < (uint64_t)h->max ? (int64_t)end : h->max;
	}
	return h->count ? h->max : 0;
}

double histogram_mean(const struct histogram *h)
{
	return h->count ? h->sum / (double)h->count : 0;
}

/* histogram.h - counts of measured values, exact to about three per cent, in a fixed 15 KiB.
 *
 * Log-linear: values below 64 have a bucket each; above, every power of two is cut into 32 equal
 * buckets. Recording is a few instructions and allocates nothing, so it can stand on a hot path.
 *
 * A histogram belongs to one thread; each thread keeps its own and the reader merges them.
 */
#ifndef CLI_HISTOGRAM_H
#define CLI_HISTOGRAM_H

#include <stdint.h>

#define HISTOGRAM_BUCKETS (64 + (63 - 6) * 32)

/* Zero-initialise. */
struct histogram {
	uint64_t counts[HISTOGRAM_BUCKETS];
	uint64_t count;
	int64_t min, max; /* meaningless while count is 0 */
	double sum;
};

/* Negative values count as 0. */
void histogram_record(struct histogram *h, int64_t value);
/* Adds all of from to h. */
void histogram_merge(struct histogram *h, const struct histogram *from);
/* The smallest value that a share of at least q (0..1) of all values do not exceed, rounded up to
 * the end of its bucket but never beyond the largest value recorded; 0 without values. */
int64_t histogram_quantile(const struct histogram *h, double q);
double histogram_mean(const struct histogram *h); /* 0 without values */

#endif

/* prom.h - Prometheus' text format, version 0.0.4, by hand: families of samples, appended to a buf.
 *
 *     # HELP ks_broker_connections Connections that are open.
 *     # TYPE ks_broker_connections gauge
 *     ks_broker_connections 3
 *
 * All samples of a family follow its head. Label values may be any bytes: what is no UTF-8 becomes U+FFFD.
 */
#ifndef SERVER_PROM_H
#define SERVER_PROM_H

#include "base/mem.h"
#include "base/tally.h"

enum prom_type { PROM_COUNTER, PROM_GAUGE, PROM_HISTOGRAM };

struct prom_label {
	const char *name;
	struct slice value;
};

/* A family under way; in place. */
struct prom {
	struct buf *out;
	const char *family;
};

/* help: one sentence without line breaks. */
void prom_begin(struct prom *p, struct buf *out, const char *family, enum prom_type type,
		const char *help);
void prom_int(const struct prom *p, const struct prom_label *labels, size_t count, int64_t value);
void prom_double(const struct prom *p, const struct prom_label *labels, size_t count, double value);
/* A family of one sample without labels. */
void prom_one(struct buf *out, const char *family, enum prom_type type, const char *help,
	      double value);

/* A tally as it was read: several of them may be added up. */
struct prom_tally {
	uint64_t counts[TALLY_BUCKETS + 1];
	uint64_t sum;
};
void prom_tally_add(struct prom_tally *to, struct tally *from);
/* unit: what the values are multiplied by (1e-9: nanoseconds are told as seconds). like: whose bounds. */
void prom_histogram(const struct prom *p, const struct prom_label *labels, size_t count,
		    const struct prom_tally *t, const struct tally *like, double unit);

#endif

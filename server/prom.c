/* prom.c - see prom.h. */
#include "server/prom.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/utf8.h"

static const char *const type_names[] = {
	[PROM_COUNTER] = "counter", [PROM_GAUGE] = "gauge", [PROM_HISTOGRAM] = "histogram"};

void prom_begin(struct prom *p, struct buf *out, const char *family, enum prom_type type,
		const char *help)
{
	*p = (struct prom){out, family};
	buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", family, help, family, type_names[type]);
}

static void put_label_value(struct buf *out, struct slice value)
{
	const uint8_t *p = value.data, *end = p + value.len;

	while (value.len && p < end) {
		size_t n = utf8_sequence(p, end);
		if (*p == '"' || *p == '\\')
			buf_append(out, (char[]){'\\', (char)*p}, 2);
		else if (*p == '\n')
			buf_append_str(out, "\\n");
		else if (n)
			buf_append(out, p, n);
		else
			buf_append_str(out, "\xef\xbf\xbd");
		p += n ? n : 1;
	}
}

/* {a="1",b="2"} or nothing; le: the bound of a bucket, may be NULL. */
static void put_labels(struct buf *out, const struct prom_label *labels, size_t count,
		       const char *le)
{
	if (!count && !le)
		return;
	for (size_t i = 0; i < count; i++) {
		buf_printf(out, "%s%s=\"", i ? "," : "{", labels[i].name);
		put_label_value(out, labels[i].value);
		buf_append_u8(out, '"');
	}
	if (le)
		buf_printf(out, "%sle=\"%s\"", count ? "," : "{", le);
	buf_append_u8(out, '}');
}

static void put_sample(const struct prom *p, const char *suffix, const struct prom_label *labels,
		       size_t count, const char *le)
{
	buf_append_str(p->out, p->family);
	buf_append_str(p->out, suffix);
	put_labels(p->out, labels, count, le);
}

void prom_int(const struct prom *p, const struct prom_label *labels, size_t count, int64_t value)
{
	put_sample(p, "", labels, count, NULL);
	buf_printf(p->out, " %" PRId64 "\n", value);
}

void prom_double(const struct prom *p, const struct prom_label *labels, size_t count, double value)
{
	put_sample(p, "", labels, count, NULL);
	buf_printf(p->out, " %.15g\n", value);
}

void prom_one(struct buf *out, const char *family, enum prom_type type, const char *help,
	      double value)
{
	struct prom p;

	prom_begin(&p, out, family, type, help);
	prom_double(&p, NULL, 0, value);
}

void prom_tally_add(struct prom_tally *to, struct tally *from)
{
	for (int i = 0; i <= TALLY_BUCKETS; i++)
		to->counts[i] += counter_get(&from->counts[i]);
	to->sum += counter_get(&from->sum);
}

void prom_histogram(const struct prom *p, const struct prom_label *labels, size_t count,
		    const struct prom_tally *t, const struct tally *like, double unit)
{
	uint64_t so_far = 0;
	char le[32];

	for (int i = 0; i < TALLY_BUCKETS; i++) {
		so_far += t->counts[i];
		snprintf(le, sizeof le, "%.6g", (double)tally_bound(like, i) * unit);
		put_sample(p, "_bucket", labels, count, le);
		buf_printf(p->out, " %" PRIu64 "\n", so_far);
	}
	so_far += t->counts[TALLY_BUCKETS];
	put_sample(p, "_bucket", labels, count, "+Inf");
	buf_printf(p->out, " %" PRIu64 "\n", so_far);
	put_sample(p, "_sum", labels, count, NULL);
	buf_printf(p->out, " %.15g\n", (double)t->sum * unit);
	put_sample(p, "_count", labels, count, NULL);
	buf_printf(p->out, " %" PRIu64 "\n", so_far);
}

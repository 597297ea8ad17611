/* perf_check.c - a job's outputs, held against the generator. */
#include <ctype.h>
#include <stdlib.h>

#include "cli/perf_jobs.h"
#include "wire/batch.h"

#define SCAN_BYTES (1 << 20)
#define ARTICLES   1000

/* --- reading a topic --- */

struct scan {
	enum ks_err (*each)(void *cookie, const struct record *r, struct ks_why *why);
	void *cookie;
	struct buf scratch;
	int64_t next; /* offset */
};

static enum ks_err scan_batch(struct scan *s, const struct batch *b, struct ks_why *why)
{
	struct record_iter it;
	struct record r;
	int more;

	enum ks_err err = record_iter_init(&it, b, SIZE_MAX, &s->scratch);
	if (err)
		return ks_fail(why, err, "a batch cannot be read: %s", ks_err_text(err));
	while ((more = record_iter_next(&it, &r)) == 1) {
		err = s->each(s->cookie, &r, why);
		if (err)
			return err;
	}
	if (more < 0)
		return ks_fail(why, ERR_CORRUPT_MESSAGE, "a batch is malformed");
	s->next = batch_last_offset(b) + 1;
	return ERR_NONE;
}

static enum ks_err scan_chunk(struct scan *s, struct slice bytes, struct ks_why *why)
{
	struct batch b;

	while (bytes.len) {
		enum ks_err err = batch_verify(bytes, &b);
		if (err)
			return ks_fail(why, err, "batch at offset %lld: %s", (long long)s->next,
				       ks_err_text(err));
		err = scan_batch(s, &b, why);
		if (err)
			return err;
		bytes = slice_of(bytes.data + b.bytes.len, bytes.len - b.bytes.len);
	}
	return ERR_NONE;
}

static enum ks_err scan_partition(struct scan *s, struct partition *p, struct ks_why *why)
{
	struct reader *reader = reader_new(p);
	struct chunk chunk;
	enum ks_err err = ERR_NONE;

	s->next = partition_log_start_offset(p);
	while (!err && s->next < partition_high_watermark(p)) {
		err = reader_read(reader, s->next, SCAN_BYTES, &chunk, why);
		if (err)
			break;
		err = scan_chunk(s, chunk.bytes, why);
		chunk_fini(&chunk);
	}
	reader_free(reader);
	return err;
}

enum ks_err perf_scan(struct topic *t,
		      enum ks_err (*each)(void *cookie, const struct record *r, struct ks_why *why),
		      void *cookie, struct ks_why *why)
{
	struct scan s = {each, cookie, {0}, 0};
	enum ks_err err = ERR_NONE;

	for (int32_t p = 0; !err && p < topic_partition_count(t); p++)
		err = scan_partition(&s, topic_partition(t, p), why);
	buf_fini(&s.scratch);
	return err;
}

/* --- checking --- */

struct check {
	const struct perf_job *job;
	int64_t count;
	struct input_maker maker;
	const char *topic; /* whose records come now */
	uint8_t *seen;     /* a bit per record of the input */
	int64_t *counts;   /* by user or article: what was found */
	int64_t *missing;  /* and what has yet to be found */
	int64_t found, wanted;
};

/* The output that record r belongs to, NULL: none. i: its place in the input. */
static const char *output_of(const struct perf_job *job, const struct input_record *r, int64_t i)
{
	bool goes = job->rule == RULE_ALL || (job->rule == RULE_ORDERS && r->type == INPUT_ORDER) ||
		    (job->rule == RULE_ORIGINALS && r->id == i);

	if (job->rule == RULE_BY_TYPE)
		return job->outputs[r->type];
	return goes ? job->outputs[0] : NULL;
}

static bool counts_up(const struct check *c)
{
	return c->job->rule == RULE_PER_USER || c->job->rule == RULE_PER_ARTICLE;
}

/* "u01234" and "A-123" to 1234 and 123; -1: something else. */
static int64_t number_of_key(const struct check *c, struct slice key)
{
	bool is_user = c->job->rule == RULE_PER_USER;
	size_t i = is_user ? 1 : 2;
	int64_t n = 0;

	if (key.len <= i || key.len > 12 || memcmp(key.data, is_user ? "u" : "A-", i) != 0)
		return -1;
	for (; i < key.len; i++) {
		if (!isdigit(key.data[i]))
			return -1;
		n = n * 10 + (key.data[i] - '0');
	}
	return n < (is_user ? c->maker.spec.users : ARTICLES) ? n : -1;
}

static enum ks_err check_count(struct check *c, const struct record *r, struct ks_why *why)
{
	int64_t key = number_of_key(c, r->key);

	if (key < 0 || r->value.len != 8)
		return ks_fail(why, ERR_CORRUPTION,
			       "%s: a record with key \"%.*s\" and %zu bytes of value", c->topic,
			       (int)r->key.len, (const char *)r->key.data, r->value.len);
	int64_t n = (int64_t)get_u64be(r->value.data);
	if (n != ++c->counts[key])
		return ks_fail(why, ERR_CORRUPTION, "%s: key \"%.*s\" is at %lld, and not at %lld",
			       c->topic, (int)r->key.len, (const char *)r->key.data, (long long)n,
			       (long long)c->counts[key]);
	if (--c->missing[key] < 0)
		return ks_fail(why, ERR_CORRUPTION, "%s: key \"%.*s\" has too many records",
			       c->topic, (int)r->key.len, (const char *)r->key.data);
	return ERR_NONE;
}

static enum ks_err check_record(void *cookie, const struct record *r, struct ks_why *why)
{
	struct check *c = cookie;
	int64_t i = r->timestamp - INPUT_TIME_BASE;
	struct input_record want;

	c->found++;
	if (counts_up(c))
		return check_count(c, r, why);
	if (i < 0 || i >= c->count)
		return ks_fail(why, ERR_CORRUPTION, "%s: a record with timestamp %lld", c->topic,
			       (long long)r->timestamp);
	if (c->seen[i / 8] & (1 << i % 8))
		return ks_fail(why, ERR_CORRUPTION, "%s: record %lld a second time", c->topic,
			       (long long)i);
	c->seen[i / 8] |= (uint8_t)(1 << i % 8);

	input_make(&c->maker, i, &want);
	const char *output = output_of(c->job, &want, i);
	if (!output || strcmp(output, c->topic) != 0)
		return ks_fail(why, ERR_CORRUPTION, "%s: record %lld does not belong there",
			       c->topic, (long long)i);
	if (c->job->rule == RULE_BY_TYPE)
		for (size_t k = 0; k < 2; k++)
			c->maker.value[want.country_at + k] -= 'a' - 'A';
	if (!slice_equal(want.key, r->key) || !slice_equal(want.value, r->value))
		return ks_fail(why, ERR_CORRUPTION, "%s: record %lld is not what it was", c->topic,
			       (long long)i);
	return ERR_NONE;
}

static void want_all(struct check *c)
{
	struct input_record r;

	for (int64_t i = 0; i < c->count; i++) {
		input_make(&c->maker, i, &r);
		c->wanted += counts_up(c) || output_of(c->job, &r, i);
		c->missing[c->job->rule == RULE_PER_USER ? r.user : r.first_sku]++;
	}
}

static void check_init(struct check *c, const struct input_spec *input)
{
	input_maker_init(&c->maker, input);
	c->seen = xcalloc((size_t)c->count / 8 + 1, 1);
	size_t keys = (size_t)(input->users > ARTICLES ? input->users : ARTICLES);
	c->counts = xcalloc(keys, sizeof *c->counts);
	c->missing = xcalloc(keys, sizeof *c->missing);
	want_all(c);
}

static void check_fini(struct check *c)
{
	free(c->missing);
	free(c->counts);
	free(c->seen);
	input_maker_fini(&c->maker);
}

enum ks_err perf_check(struct broker *b, const struct perf_job *job, const struct input_spec *input,
		       int64_t count, int64_t *outputs, struct ks_why *why)
{
	struct check c = {.job = job, .count = count};
	enum ks_err err = ERR_NONE;

	check_init(&c, input);
	for (size_t i = 0; !err && i < 4 && job->outputs[i]; i++) {
		struct topic *t = broker_topic_find(b, job->outputs[i]);
		c.topic = job->outputs[i];
		if (t)
			err = perf_scan(t, check_record, &c, why);
	}
	if (!err && c.found != c.wanted)
		err = ks_fail(why, ERR_CORRUPTION, "%s: %lld records came out instead of %lld",
			      job->name, (long long)c.found, (long long)c.wanted);
	*outputs = c.found;
	check_fini(&c);
	return err;
}

/* consume_feed.c - one partition of topic consume: its batches become text. */
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/consumer.h"
#include "wire/batch.h"

#define OUT_BYTES        ((size_t)64 << 10)
#define DECOMPRESSED_MAX ((size_t)1 << 30)

/* --- output --- */

static void print(struct consumer *c, const struct feed *f, const struct batch *b,
		  const struct record *r, const struct target_bounds *bounds)
{
	struct format_record fr = {.topic = f->topic.name,
				   .partition = f->partition,
				   .leader_epoch = b->leader_epoch,
				   .header_count = r->header_count,
				   .offset = r->offset,
				   .timestamp = r->timestamp,
				   .key = r->key,
				   .value = r->value,
				   .headers = r->headers,
				   .producer_id = b->producer_id,
				   .producer_epoch = b->producer_epoch,
				   .attributes = b->attributes,
				   .broker = c->target->is_remote ? bounds->broker : -1,
				   .log_start_offset = bounds->log_start_offset,
				   .last_stable_offset = bounds->last_stable_offset,
				   .high_watermark = bounds->high_watermark};

	if (c->shape == SHAPE_LAYOUT)
		format_write(c->layout, &fr, &c->out);
	else if (c->shape == SHAPE_JSON)
		record_print_json(&fr, c->json, &c->out);
	else if (c->shape == SHAPE_KCAT)
		record_print_kcat(&fr, c->json, &c->out);
	else
		record_print_line(&fr, c->has_colour, &c->out);
}

void consumer_flush(struct consumer *c)
{
	if (c->out.len && !c->is_closed && !out_write(&c->out))
		c->is_closed = true;
}

/* --- what to read --- */

static int64_t clamp(int64_t n, int64_t low, int64_t high)
{
	return n < low ? low : n > high ? high : n;
}

static enum ks_err place_feed(struct consumer *c, struct feed *f,
			      const struct target_bounds *bounds, struct ks_why *why)
{
	struct target_bounds b = *bounds;
	struct target *t = c->target;

	/* Who wants committed records reads nothing behind an open transaction. */
	if (!t->reads_uncommitted)
		b.high_watermark = b.last_stable_offset;
	enum ks_err err =
		offset_resolve(t, &f->topic, f->partition, &c->range.from, &b, &f->next, why);
	if (err)
		return err;
	/* An exact offset may lie ahead: then the records before it are skipped when they come. */
	f->next = clamp(f->next, b.log_start_offset,
			c->range.from.kind == OFFSET_EXACT ? INT64_MAX : b.high_watermark);
	f->end = INT64_MAX;
	f->committed = -1;
	if (c->range.to.kind == OFFSET_OPEN)
		return ERR_NONE;
	err = offset_resolve(t, &f->topic, f->partition, &c->range.to, &b, &f->end, why);
	f->end = clamp(f->end, b.log_start_offset, b.high_watermark);
	return err;
}

enum ks_err feed_add(struct consumer *c, const struct target_topic *topic, int32_t partition,
		     const struct target_bounds *bounds, struct ks_why *why)
{
	c->feeds = xrealloc(c->feeds, (c->feed_count + 1) * sizeof *c->feeds);
	struct feed *f = &c->feeds[c->feed_count];
	*f = (struct feed){.topic = *topic, .partition = partition};
	enum ks_err err = place_feed(c, f, bounds, why);
	if (!err)
		err = c->target->cursor_open(c->target, topic, partition, &f->cursor, why);
	if (err)
		return err;
	c->feed_count++;
	c->open_count++;
	return ERR_NONE;
}

enum ks_err feeds_add(struct consumer *c, const struct target_topic *topic,
		      const int32_t *partitions, size_t count, struct ks_why *why)
{
	size_t n = partitions ? count : (size_t)topic->partition_count;
	struct target_bounds *bounds = xcalloc((size_t)topic->partition_count + 1, sizeof *bounds);
	enum ks_err err = c->target->bounds_all(c->target, topic, false, bounds, why);

	for (size_t i = 0; i < n && !err; i++) {
		int32_t p = partitions ? partitions[i] : (int32_t)i;
		err = target_check_partition(topic, p, why);
		if (!err)
			err = feed_add(c, topic, p, &bounds[p], why);
	}
	free(bounds);
	return err;
}

void feeds_close(struct consumer *c)
{
	for (size_t i = 0; i < c->feed_count; i++)
		c->target->cursor_close(&c->feeds[i].cursor);
	c->feed_count = c->open_count = 0;
}

/* --- reading --- */

static void finish_feed(struct consumer *c, struct feed *f)
{
	if (!f->is_done)
		c->open_count--;
	f->is_done = true;
}

static enum ks_err consume_batch(struct consumer *c, struct feed *f, const struct batch *b,
				 const struct target_bounds *bounds)
{
	struct record_iter it;
	struct record r;
	int got = 0;

	if (c->target->cursor_is_aborted(&f->cursor, b)) {
		f->next = batch_last_offset(b) + 1;
		return ERR_NONE;
	}
	enum ks_err err = record_iter_init(&it, b, DECOMPRESSED_MAX, &c->scratch);
	if (err)
		return err;
	while (c->left > 0 && !c->is_closed && (got = record_iter_next(&it, &r)) > 0) {
		if (r.offset < f->next)
			continue;
		if (r.offset >= f->end)
			break;
		f->next = r.offset + 1;
		if (batch_is_control(b) && !c->wants_control)
			continue;
		print(c, f, b, &r, bounds);
		c->records++;
		c->left--;
		if (c->out.len >= OUT_BYTES)
			consumer_flush(c);
	}
	if (got < 0)
		return ERR_CORRUPT_MESSAGE;
	if (got == 0 && c->left > 0 && !c->is_closed && f->next <= batch_last_offset(b))
		f->next = batch_last_offset(b) + 1; /* compaction leaves gaps */
	return ERR_NONE;
}

static enum ks_err consume_chunk(struct consumer *c, struct feed *f, const struct chunk *chunk,
				 struct ks_why *why)
{
	struct slice bytes = chunk->bytes;
	struct target_bounds bounds;
	struct batch b;
	enum ks_err err = c->target->cursor_bounds(&f->cursor, &bounds, why);

	while (!err && bytes.len && c->left > 0 && !c->is_closed && f->next < f->end) {
		err = chunk->is_verified ? batch_peek(bytes, &b) : batch_verify(bytes, &b);
		if (!err)
			err = consume_batch(c, f, &b, &bounds);
		if (err)
			return ks_fail(why, err, "%s [%d] at offset %lld: %s", f->topic.name,
				       f->partition, (long long)f->next, ks_err_text(err));
		bytes = slice_of(bytes.data + b.bytes.len, bytes.len - b.bytes.len);
	}
	return err;
}

/* The offset fell out of the log: somebody trimmed it, or it lies ahead. */
static enum ks_err out_of_range(struct consumer *c, struct feed *f, bool *is_empty,
				struct ks_why *why)
{
	struct target_bounds b;
	enum ks_err err = c->target->bounds(c->target, &f->topic, f->partition, &b, why);

	*is_empty = true;
	if (err || f->next >= b.log_start_offset)
		return err;
	log_warn("consume", "%s [%d]: offsets %lld to %lld are gone; going on at %lld",
		 f->topic.name, f->partition, (long long)f->next, (long long)b.log_start_offset - 1,
		 (long long)b.log_start_offset);
	f->next = b.log_start_offset;
	*is_empty = false;
	return ERR_NONE;
}

enum ks_err feed_consume(struct consumer *c, struct feed *f, bool *is_empty, struct ks_why *why)
{
	struct chunk chunk;

	*is_empty = false;
	if (f->next >= f->end) {
		finish_feed(c, f);
		return ERR_NONE;
	}
	enum ks_err err = c->target->cursor_read(&f->cursor, f->next, c->fetch_bytes, &chunk, why);
	if (err == ERR_EMPTY) {
		*is_empty = true;
		return ERR_NONE;
	}
	if (err == ERR_OFFSET_OUT_OF_RANGE)
		return out_of_range(c, f, is_empty, why);
	if (err)
		return err;
	err = consume_chunk(c, f, &chunk, why);
	chunk_fini(&chunk);
	if (f->next >= f->end)
		finish_feed(c, f);
	return err;
}

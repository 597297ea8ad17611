/* fetch_read.c - the reading part of Fetch: tails on the loop's thread, without a copy; the store on a worker's.
 *
 * The parts are read in turn. The first batch of all is sent even if it is larger than every limit, else a
 * consumer with small limits would never get it; whoever was served stands last in its session the next
 * time, so that every part becomes the first one.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "base/log.h"
#include "server/fetch.h"
#include "server/server_impl.h"
#include "wire/batch.h"

#define PIECES_MAX       64 /* of one part */
/* A store read hands out this much at least, when there is as much. */
#define STORE_READ_BYTES 65536
#define PINNED_PER_BYTE  4 /* of a frame, for each byte of it that is sent */

struct pieces {
	struct chunk chunks[PIECES_MAX];
	size_t count, bytes;
};

static void add(struct pieces *p, const struct chunk *c)
{
	p->chunks[p->count++] = *c;
	p->bytes += c->bytes.len;
}

/* Reads about as much as the limit allows; without may_block only what is ready. */
static enum ks_err read_from(struct kept_reader *r, int64_t end, size_t limit, bool is_strict,
			     bool may_block, struct pieces *p, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;

	while (p->count < PIECES_MAX && (may_block || kept_reader_is_ready(r))) {
		struct chunk c;
		size_t left = p->bytes < limit ? limit - p->bytes : 0;
		err = kept_reader_read(r, end, left, is_strict || p->count, &c, why);
		if (err)
			break;
		add(p, &c);
		if (p->bytes + STORE_READ_BYTES > limit)
			break;
	}
	return err;
}

/* As partition_read_now, from the store. Without may_block only what was read ahead. */
static enum ks_err read_store(struct fetch *f, const struct fetch_part *part, int64_t end,
			      size_t limit, bool may_block, struct pieces *p)
{
	struct server *s = f->x->server;
	struct kept_reader *r = (may_block ? readers_take : readers_take_ready)(
		s->readers, part->partition, part->offset);
	struct ks_why why = {""};

	if (!r)
		return ERR_NOT_FOUND;
	enum ks_err err = read_from(r, end, limit, f->bytes > 0, may_block, p, &why);
	readers_put(s->readers, r, err ? 0 : limit,
		    clock_monotonic_ns(broker_clock(s->options.broker)) / 1000000);
	server_expire_readers(s);
	if (err && err < ERR_UNKNOWN_SERVER_ERROR && err != ERR_EMPTY)
		server_log(s, "%s", why.text);
	return p->count ? ERR_NONE : err;
}

/* What is little of its frame is copied: an answer that is not read must not hold on to more memory than it is counted
 * for. */
static struct wire_ref ref_of(const struct chunk *c)
{
	if (c->frame->cap / PINNED_PER_BYTE <= c->bytes.len)
		return (struct wire_ref){c->frame, c->bytes};
	struct frame *copy = frame_copy(c->bytes);
	frame_unref(c->frame);
	return (struct wire_ref){copy, slice_of(copy->data, copy->len)};
}

static void keep(struct fetch *f, struct fetch_part *part, const struct pieces *p)
{
	part->refs = exchange_alloc(f->x, p->count, sizeof *part->refs);
	part->ref_count = (int32_t)p->count;
	part->bytes = p->bytes;
	for (size_t i = 0; i < p->count; i++)
		part->refs[i] = ref_of(&p->chunks[i]);
	f->bytes += p->bytes;
}

static void drop(struct pieces *p)
{
	for (size_t i = 0; i < p->count; i++)
		chunk_fini(&p->chunks[i]);
	p->count = p->bytes = 0;
}

/* Which aborted transactions the consumer has to know to read the pieces. ERR_NOT_FOUND: it needs the store. */
static enum ks_err find_aborted(struct fetch *f, struct fetch_part *part, const struct pieces *p,
				bool may_block)
{
	struct aborted_transaction *rows = NULL;
	struct ks_why why = {""};
	size_t count = 0;
	enum ks_err err = partition_aborted(part->partition, p->chunks, p->count, may_block, &rows,
					    &count, &why);

	if (err && err < ERR_UNKNOWN_SERVER_ERROR && err != ERR_NOT_FOUND)
		server_log(f->x->server, "%s", why.text);
	if (err)
		return err;
	part->aborted = exchange_alloc(f->x, count, sizeof *part->aborted);
	part->aborted_count = (int32_t)count;
	for (size_t i = 0; i < count; i++)
		part->aborted[i] = (struct fetch_response_aborted_transaction){
			rows[i].producer_id, rows[i].first_offset};
	free(rows);
	return ERR_NONE;
}

/* The tail, or the store. ERR_NOT_FOUND: it needs the store. */
static enum ks_err read_pieces(struct fetch *f, struct fetch_part *part, size_t limit,
			       bool may_block, struct pieces *p)
{
	bool is_strict = f->bytes > 0;
	int64_t end = f->is_committed ? part->last_stable_offset : READ_UNCOMMITTED;
	enum ks_err err = partition_read_now(part->partition, part->offset, end, limit, is_strict,
					     p->chunks, PIECES_MAX, &p->count);

	for (size_t i = 0; i < p->count; i++)
		p->bytes += p->chunks[i].bytes.len;
	if (err == ERR_NOT_FOUND && is_strict && limit == 0)
		err = ERR_NONE; /* it would get nothing */
	else if (err == ERR_NOT_FOUND)
		err = read_store(f, part, end, limit, may_block, p);
	if (!err && p->count && f->is_committed)
		err = find_aborted(f, part, p, may_block);
	if (err)
		drop(p);
	return err;
}

/* false: it needs the store. */
static bool read_part(struct fetch *f, struct fetch_part *part, bool may_block)
{
	size_t limit = part->max_bytes > 0 ? (size_t)part->max_bytes : 0;
	size_t left = f->bytes < f->room ? f->room - f->bytes : 0;
	struct pieces p = {.count = 0};

	if (limit > left)
		limit = left;
	/* Before the records, and they before the list of what was aborted: then nothing is missed. */
	part->last_stable_offset = partition_last_stable_offset(part->partition);
	/* What is written while we read did not fail to fit. */
	int64_t end = f->is_committed ? part->last_stable_offset
				      : partition_high_watermark(part->partition);
	enum ks_err err = read_pieces(f, part, limit, may_block, &p);
	if (err == ERR_NOT_FOUND)
		return false;
	part->log_start_offset = partition_log_start_offset(part->partition);
	part->high_watermark = partition_high_watermark(part->partition);
	if (err && err != ERR_EMPTY) {
		part->err = err;
		part->log_start_offset = part->high_watermark = part->last_stable_offset = -1;
		f->has_failed = true;
		return true;
	}
	part->is_cut_short = p.count && batches_end_offset(p.chunks[p.count - 1].bytes) < end;
	if (p.count)
		keep(f, part, &p);
	return true;
}

bool fetch_read(struct fetch *f, bool may_block)
{
	for (; f->next < f->count; f->next++) {
		struct fetch_part *part = &f->parts[f->next];
		if (part->partition && !read_part(f, part, may_block))
			return false;
	}
	return true;
}

bool fetch_is_cut_short(const struct fetch *f)
{
	for (size_t i = 0; i < f->count; i++)
		if (f->parts[i].is_cut_short)
			return true;
	return false;
}

void fetch_unread(struct fetch *f)
{
	for (size_t i = 0; i < f->count; i++) {
		struct fetch_part *part = &f->parts[i];
		for (int32_t j = 0; j < part->ref_count; j++)
			frame_unref(part->refs[j].frame);
		part->ref_count = part->aborted_count = 0;
		part->bytes = 0;
		part->is_cut_short = false;
		if (part->partition)
			part->err = ERR_NONE;
	}
	f->bytes = f->next = 0;
	f->has_failed = false;
}

/* Bytes of all batches that were ever there to be read by such a fetch. */
static uint64_t position_of(const struct fetch *f, const struct partition *p)
{
	return f->is_committed ? partition_stable_position(p) : partition_end_position(p);
}

static int64_t readable_end(const struct fetch *f, const struct fetch_part *part)
{
	return f->is_committed ? part->last_stable_offset : part->high_watermark;
}

/* An offset out of range is something, too: an error. */
static bool is_readable(const struct fetch *f, const struct fetch_part *part)
{
	return part->offset < readable_end(f, part) || part->offset > part->high_watermark;
}

bool fetch_has_something(struct fetch *f)
{
	bool has_something = false;

	for (size_t i = 0; i < f->count; i++) {
		struct fetch_part *part = &f->parts[i];
		if (!part->partition)
			continue;
		/* In this order: what comes after the look at the end shows in the growth. */
		part->position = position_of(f, part->partition);
		part->log_start_offset = partition_log_start_offset(part->partition);
		part->last_stable_offset = partition_last_stable_offset(part->partition);
		part->high_watermark = partition_high_watermark(part->partition);
		has_something |= is_readable(f, part);
	}
	return has_something || fetch_lost_topic(f);
}

bool fetch_lost_topic(const struct fetch *f)
{
	for (size_t i = 0; i < f->count; i++) {
		const struct partition *p = f->parts[i].partition;
		if (p && topic_is_deleted(partition_topic(p)))
			return true;
	}
	return false;
}

uint64_t fetch_growth(const struct fetch *f)
{
	uint64_t growth = 0;

	for (size_t i = 0; i < f->count; i++)
		if (f->parts[i].partition)
			growth += position_of(f, f->parts[i].partition) - f->parts[i].position;
	return growth;
}

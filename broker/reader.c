/* reader.c - reading one partition: the tail first, then the store.
 *
 * Making an iterator opens files and costs up to a millisecond, keeping an old one keeps dead files
 * on the disk. So a reader that catches up keeps one, for a few seconds, and walks it value by
 * value; as soon as the tail serves, it is let go.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "broker/core.h"
#include "wire/batch.h"

#define ITERATOR_AGE_MAX_NS INT64_C(2000000000)
/* Of one chunk from the store, when the caller would take more. */
#define CHUNK_BYTES_MAX     (1024 * 1024)
/* Small values are gathered until a chunk has at least this. */
#define CHUNK_BYTES_ENOUGH  65536
/* For looking up timestamps. */
#define SCAN_BYTES          262144
#define DECOMPRESSED_MAX    (256 * 1024 * 1024)

struct reader {
	struct partition *partition;
	struct broker *broker;

	struct store_iter *iter; /* NULL: none kept */
	int64_t iter_made_ns;
	int64_t iter_offset_end;     /* the high watermark when it was made */
	int64_t position;            /* last offset of the value it stands on; -1: not positioned */
	struct key_log lower, upper; /* its bounds */
};

struct reader *reader_new(struct partition *p)
{
	struct reader *r = xcalloc(1, sizeof *r);

	r->partition = p;
	r->broker = p->topic->broker;
	r->lower = key_log(p->id, 0);
	r->upper = key_log(p->id + 1, 0);
	return r;
}

static void drop_iterator(struct reader *r)
{
	store_iter_free(r->iter);
	r->iter = NULL;
}

void reader_free(struct reader *r)
{
	if (!r)
		return;
	if (r->iter)
		drop_iterator(r);
	free(r);
}

/* An iterator whose view holds offset. */
static void freshen(struct reader *r, int64_t offset)
{
	int64_t now = clock_monotonic_ns(&r->broker->clock);

	if (r->iter && offset < r->iter_offset_end && now - r->iter_made_ns < ITERATOR_AGE_MAX_NS)
		return;
	if (r->iter)
		drop_iterator(r);
	r->iter_offset_end = partition_high_watermark(r->partition);
	r->iter =
		store_iter_new(r->broker->store, CF_LOG, KEY_SLICE(r->lower), KEY_SLICE(r->upper));
	r->iter_made_ns = now;
	r->position = -1;
}

/* Learns on which value the iterator stands. */
static bool arrive(struct reader *r)
{
	uint32_t id;

	r->position = -1;
	return store_iter_valid(r->iter) &&
	       key_log_decode(store_iter_key(r->iter), &id, &r->position);
}

/* Moves to the value that holds offset, or the first one above. A catch-up reader finds it where it
 * stands or one further. */
static bool move_to(struct reader *r, int64_t offset)
{
	if (r->position >= 0 && r->position < offset) {
		store_iter_next(r->iter);
		if (arrive(r) && r->position >= offset)
			return true;
	} else if (r->position >= offset) {
		/* Perhaps still the same value: its first batch tells. */
		struct batch b;
		if (!batch_peek(store_iter_value(r->iter), &b) && b.base_offset <= offset)
			return true;
	}
	struct key_log key = key_log(r->partition->id, offset);
	store_iter_seek(r->iter, KEY_SLICE(key));
	return arrive(r);
}

/* Why there is nothing at offset, which should be there. */
static enum ks_err explain_hole(struct reader *r, int64_t offset, struct ks_why *why)
{
	struct partition *p = r->partition;
	enum ks_err err = store_iter_error(r->iter, why);

	if (err)
		return err;
	if (topic_is_gone(p->topic))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (offset < atomic_load(&p->trim_announced))
		return ERR_OFFSET_OUT_OF_RANGE;
	return ks_fail(why, ERR_CORRUPTION,
		       "partition %s-%" PRId32 ": offset %" PRId64
		       " is missing from the store, though the log runs from %" PRId64
		       " to %" PRId64,
		       p->topic->name, p->index, offset, partition_log_start_offset(p),
		       partition_high_watermark(p));
}

static enum ks_err corrupt(struct reader *r, int64_t offset, struct ks_why *why)
{
	return ks_fail(why, ERR_CORRUPTION,
		       "partition %s-%" PRId32 ": the stored batches at offset %" PRId64
		       " are damaged (CRC or structure)",
		       r->partition->topic->name, r->partition->index, offset);
}

/* Checks the CRC of every batch. next: the offset behind them. */
static bool verify(struct slice bytes, int64_t *next)
{
	struct batch b;

	for (size_t at = 0; at < bytes.len; at += b.bytes.len) {
		if (batch_verify(slice_of(bytes.data + at, bytes.len - at), &b))
			return false;
		*next = batch_last_offset(&b) + 1;
	}
	return true;
}

/* What is asked for. */
struct wanted {
	int64_t offset, end; /* batches that reach end are not */
	size_t max_bytes;
};

/* Appends to f what the iterator's value has of it, and moves the offset behind that. */
static bool copy_value(struct reader *r, struct wanted *x, struct frame *f)
{
	struct slice bytes;

	if (!batches_select(store_iter_value(r->iter), x->offset, x->end, x->max_bytes - f->len,
			    &bytes))
		return false;
	if (!bytes.len || f->len + bytes.len > f->cap)
		return true; /* the next read takes it */
	memcpy(f->data + f->len, bytes.data, bytes.len);
	/* The copy is what is given out, so the copy is what is checked. */
	if (!verify(slice_of(f->data + f->len, bytes.len), &x->offset))
		return false;
	f->len += bytes.len;
	return true;
}

/* Small values that follow. Damage further on is met, and told, when a read begins there. */
static void copy_more(struct reader *r, struct wanted *x, size_t room, struct frame *f)
{
	x->max_bytes = room;
	while (f->len < room && x->offset < r->iter_offset_end && r->position < x->offset) {
		size_t before = f->len;
		if (!move_to(r, x->offset) || !copy_value(r, x, f) || f->len == before)
			break;
	}
}

static enum ks_err read_store(struct reader *r, struct wanted x, struct chunk *out,
			      struct ks_why *why)
{
	int64_t offset = x.offset;
	struct slice first;

	freshen(r, offset);
	if (!move_to(r, offset))
		return explain_hole(r, offset, why);
	if (!batches_select(store_iter_value(r->iter), offset, x.end, x.max_bytes, &first))
		return corrupt(r, offset, why);
	if ((int64_t)get_u64be(first.data) > offset &&
	    offset >= atomic_load(&r->partition->holes_below))
		return explain_hole(r, offset, why);
	if (!first.len)
		return ERR_EMPTY;

	size_t room = x.max_bytes < CHUNK_BYTES_ENOUGH ? x.max_bytes : CHUNK_BYTES_ENOUGH;
	struct frame *f = frame_new(first.len > room ? first.len : room);
	if (!copy_value(r, &x, f)) {
		frame_unref(f);
		return corrupt(r, offset, why);
	}
	copy_more(r, &x, room, f);
	*out = (struct chunk){f, slice_of(f->data, f->len), true};
	return ERR_NONE;
}

enum ks_err reader_read_to(struct reader *r, int64_t offset, int64_t end, size_t max_bytes,
			   struct chunk *out, struct ks_why *why)
{
	struct partition *p = r->partition;
	int64_t high_watermark = partition_high_watermark(p);

	if (topic_is_gone(p->topic))
		return ks_fail(why, ERR_UNKNOWN_TOPIC_OR_PARTITION, "topic \"%s\" was deleted",
			       p->topic->name);
	if (offset < partition_log_start_offset(p) || offset > high_watermark)
		return ks_fail(why, ERR_OFFSET_OUT_OF_RANGE,
			       "partition %s-%" PRId32 ": offset %" PRId64 " is not from %" PRId64
			       " to %" PRId64,
			       p->topic->name, p->index, offset, partition_log_start_offset(p),
			       high_watermark);
	if (offset == high_watermark || offset >= end) {
		if (r->iter) /* nobody knows when the next read comes */
			drop_iterator(r);
		return ERR_EMPTY;
	}
	enum ks_err err = partition_read_tail(p, offset, end, max_bytes, out);
	if (err != ERR_NOT_FOUND) {
		if (r->iter)
			drop_iterator(r);
		return err;
	}
	if (max_bytes > CHUNK_BYTES_MAX)
		max_bytes = CHUNK_BYTES_MAX;
	return read_store(r, (struct wanted){offset, end, max_bytes}, out, why);
}

enum ks_err reader_read(struct reader *r, int64_t offset, size_t max_bytes, struct chunk *out,
			struct ks_why *why)
{
	return reader_read_to(r, offset, READ_UNCOMMITTED, max_bytes, out, why);
}

/* --- timestamps --- */

/* Where to begin looking for a timestamp: behind the last index entry that lies wholly before it.
 */
static enum ks_err scan_start(struct partition *p, int64_t timestamp, int64_t *offset)
{
	struct key_index lower = key_index(p->id, INT64_MIN, 0),
			 upper = key_index(p->id, timestamp, 0);
	struct store_iter *it = store_iter_new(p->topic->broker->store, CF_INDEX, KEY_SLICE(lower),
					       KEY_SLICE(upper));
	struct index_entry e;

	store_iter_last(it);
	enum ks_err err = store_iter_error(it, NULL);
	if (store_iter_valid(it)) {
		if (index_decode(store_iter_key(it), store_iter_value(it), &e))
			*offset = e.last_offset + 1 > *offset ? e.last_offset + 1 : *offset;
		else
			err = ERR_CORRUPTION;
	}
	store_iter_free(it);
	return err;
}

/* The first record of the batch at or after both; ERR_NOT_FOUND. */
static enum ks_err find_in_batch(const struct batch *b, int64_t timestamp, int64_t from,
				 struct buf *scratch, struct record *r)
{
	struct record_iter it;
	enum ks_err err = record_iter_init(&it, b, DECOMPRESSED_MAX, scratch);
	int got = 0;

	while (!err && (got = record_iter_next(&it, r)) == 1)
		if (r->timestamp >= timestamp && r->offset >= from)
			return ERR_NONE;
	return err ? err : got < 0 ? ERR_CORRUPT_MESSAGE : ERR_NOT_FOUND;
}

static enum ks_err find_in_chunk(struct slice bytes, int64_t timestamp, int64_t *from,
				 struct record *r)
{
	struct buf scratch = {0};
	struct batch b;
	enum ks_err err = ERR_NOT_FOUND;

	for (size_t at = 0; at < bytes.len && err == ERR_NOT_FOUND; at += b.bytes.len) {
		if (batch_peek(slice_of(bytes.data + at, bytes.len - at), &b)) {
			err = ERR_CORRUPTION;
			break;
		}
		if (b.max_timestamp >= timestamp && !batch_is_control(&b))
			err = find_in_batch(&b, timestamp, *from, &scratch, r);
		*from = batch_last_offset(&b) + 1;
	}
	buf_fini(&scratch);
	return err;
}

/* The first record from the offset on with a timestamp >= timestamp. */
static enum ks_err find_timestamp(struct partition *p, int64_t timestamp, int64_t from,
				  int64_t *offset, int64_t *found_timestamp)
{
	struct record record;
	struct reader *r = reader_new(p);
	enum ks_err err = ERR_NOT_FOUND;

	while (err == ERR_NOT_FOUND) {
		struct chunk c;
		enum ks_err read = reader_read(r, from, SCAN_BYTES, &c, NULL);
		if (read) {
			err = read == ERR_EMPTY ? ERR_NOT_FOUND : read;
			break;
		}
		err = find_in_chunk(c.bytes, timestamp, &from, &record);
		if (!err) {
			*offset = record.offset;
			*found_timestamp = record.timestamp;
		}
		chunk_fini(&c);
	}
	reader_free(r);
	return err;
}

enum ks_err partition_offset_for_timestamp(struct partition *p, int64_t timestamp, int64_t *offset,
					   int64_t *found_timestamp)
{
	int64_t from = partition_log_start_offset(p), start = from;

	if (topic_is_gone(p->topic))
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (atomic_load(&p->max_timestamp) < timestamp)
		return ERR_NOT_FOUND;
	enum ks_err err = scan_start(p, timestamp, &from);
	if (err)
		return err;
	return find_timestamp(p, timestamp, from < start ? start : from, offset, found_timestamp);
}

/* The batch with the latest timestamp among those from *next on. */
static enum ks_err scan_max(struct partition *p, struct latest *l)
{
	struct reader *r = reader_new(p);
	enum ks_err err = ERR_NONE;
	struct chunk c;
	struct batch b;

	while (!err) {
		err = reader_read(r, l->scanned_to, SCAN_BYTES, &c, NULL);
		if (err)
			break;
		for (size_t at = 0; at < c.bytes.len && !err; at += b.bytes.len) {
			if (batch_peek(slice_of(c.bytes.data + at, c.bytes.len - at), &b)) {
				err = ERR_CORRUPTION;
				break;
			}
			if (b.max_timestamp > l->timestamp && b.record_count > 0 &&
			    !batch_is_control(&b)) {
				l->timestamp = b.max_timestamp;
				l->batch_offset = b.base_offset;
			}
			l->scanned_to = batch_last_offset(&b) + 1;
		}
		chunk_fini(&c);
	}
	reader_free(r);
	return err == ERR_EMPTY ? ERR_NONE : err;
}

/* The record that was latest of all is gone, so the index does not tell: all batches are looked
 * at, and what was found is remembered, so that the next one who asks pays for the newer ones
 * only. */
static enum ks_err find_latest(struct partition *p, int64_t *offset, int64_t *timestamp)
{
	int64_t start = partition_log_start_offset(p), clean = partition_cleaned(p).offset;

	pthread_mutex_lock(&p->mtx);
	struct latest l = p->latest;
	pthread_mutex_unlock(&p->mtx);
	if (l.batch_offset < start || l.clean_offset != clean)
		l = (struct latest){-1, -1, start, clean};
	enum ks_err err = scan_max(p, &l);
	if (err)
		return err;
	pthread_mutex_lock(&p->mtx);
	p->latest = l;
	pthread_mutex_unlock(&p->mtx);
	if (l.timestamp < 0)
		return ERR_NOT_FOUND;
	return find_timestamp(p, l.timestamp, l.batch_offset, offset, timestamp);
}

enum ks_err partition_max_timestamp_offset(struct partition *p, int64_t *offset, int64_t *timestamp)
{
	int64_t max = atomic_load(&p->max_timestamp);

	if (max < 0)
		return ERR_NOT_FOUND;
	enum ks_err err = partition_offset_for_timestamp(p, max, offset, timestamp);
	return err == ERR_NOT_FOUND ? find_latest(p, offset, timestamp) : err;
}

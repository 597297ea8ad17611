/* readers.c - see readers.h. */
#include "server/readers.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "server/workers.h"
#include "wire/batch.h"

#define AHEAD_CHUNKS    64
#define AHEAD_BYTES_MAX (1024 * 1024) /* of one reader */

struct kept_reader {
	struct reader *reader;
	struct partition *partition;
	int64_t offset; /* of what it gives next */
	struct chunk ahead[AHEAD_CHUNKS];
	size_t first, count; /* of ahead */
	size_t reserved;     /* bytes that it may read ahead */
	bool has_come_back;  /* was taken where it stood: its consumer goes on and on */
	int64_t put_ms;

	/* shared, under mtx */
	struct ahead_job *job; /* in the workers' queue; NULL: none */
	bool is_reading;       /* a worker has it */
};

/* Who takes a reader before its job's turn has come leaves the job empty: nobody waits for the queue. */
struct ahead_job {
	struct job job;
	struct readers *all;
	struct kept_reader *reader; /* under mtx; NULL: taken */
};

struct readers {
	/* immutable */
	size_t max, ahead_max;
	struct workers *workers;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t has_read;
	struct kept_reader **kept; /* in the order in which they were put back */
	size_t count;
	size_t ahead_bytes; /* reserved by all, those that are taken included */
};

struct readers *readers_new(size_t readers_max, size_t ahead_max, struct workers *workers)
{
	struct readers *rs = xcalloc(1, sizeof *rs);

	rs->max = readers_max;
	rs->ahead_max = ahead_max;
	rs->workers = workers;
	rs->kept = xcalloc(readers_max, sizeof(*rs->kept));
	pthread_mutex_init(&rs->mtx, NULL);
	pthread_cond_init(&rs->has_read, NULL);
	return rs;
}

void readers_free(struct readers *rs)
{
	if (!rs)
		return;
	readers_expire(rs, INT64_MAX);
	pthread_cond_destroy(&rs->has_read);
	pthread_mutex_destroy(&rs->mtx);
	free(rs->kept);
	free(rs);
}

/* Under mtx. */
static void unreserve(struct readers *rs, struct kept_reader *k)
{
	rs->ahead_bytes -= k->reserved;
	k->reserved = 0;
}

/* Its reservation was given back. k may be NULL. */
static void kept_reader_free(struct kept_reader *k)
{
	if (!k)
		return;
	for (; k->count; k->count--)
		chunk_fini(&k->ahead[k->first++]);
	reader_free(k->reader);
	free(k);
}

/* Under mtx. */
static struct kept_reader *remove_at(struct readers *rs, size_t i)
{
	struct kept_reader *k = rs->kept[i];

	if (k->job)
		k->job->reader = NULL;
	k->job = NULL;
	rs->count--;
	memmove(&rs->kept[i], &rs->kept[i + 1], (rs->count - i) * sizeof(*rs->kept));
	return k;
}

/* Under mtx. rs->count: there is none. */
static size_t find(const struct readers *rs, const struct partition *p, int64_t offset)
{
	size_t i = 0;

	while (i < rs->count && (rs->kept[i]->partition != p || rs->kept[i]->offset != offset))
		i++;
	return i;
}

static struct kept_reader *kept_reader_new(struct partition *p, int64_t offset)
{
	struct kept_reader *k = xcalloc(1, sizeof *k);

	k->reader = reader_new(p);
	k->partition = p;
	k->offset = offset;
	return k;
}

struct kept_reader *readers_take(struct readers *rs, struct partition *p, int64_t offset)
{
	struct kept_reader *k = NULL;
	size_t i;

	pthread_mutex_lock(&rs->mtx);
	while ((i = find(rs, p, offset)) < rs->count && rs->kept[i]->is_reading)
		pthread_cond_wait(&rs->has_read, &rs->mtx);
	if (i < rs->count)
		k = remove_at(rs, i);
	pthread_mutex_unlock(&rs->mtx);
	if (!k)
		return kept_reader_new(p, offset);
	k->has_come_back = true;
	return k;
}

struct kept_reader *readers_take_ready(struct readers *rs, struct partition *p, int64_t offset)
{
	struct kept_reader *k = NULL;

	pthread_mutex_lock(&rs->mtx);
	size_t i = find(rs, p, offset);
	if (i < rs->count && !rs->kept[i]->is_reading && rs->kept[i]->count)
		k = remove_at(rs, i);
	pthread_mutex_unlock(&rs->mtx);
	if (k)
		k->has_come_back = true;
	return k;
}

bool kept_reader_is_ready(const struct kept_reader *k)
{
	return k->count > 0;
}

/* What fits of the first chunk that was read ahead; the rest of it stays. */
static enum ks_err take_ahead(struct kept_reader *k, int64_t end, size_t max_bytes, bool is_strict,
			      struct chunk *out)
{
	struct chunk *c = &k->ahead[k->first];
	struct slice fitting;
	bool is_well = batches_select(c->bytes, k->offset, end, max_bytes, &fitting);

	assert(is_well && "the reader has verified them");
	if (!fitting.len || (is_strict && fitting.len > max_bytes))
		return ERR_EMPTY;
	*out = (struct chunk){frame_ref(c->frame), fitting, true};
	size_t used = (size_t)(fitting.data + fitting.len - c->bytes.data);
	c->bytes = slice_of(c->bytes.data + used, c->bytes.len - used);
	if (!c->bytes.len) {
		chunk_fini(c);
		k->first++;
		k->count--;
	}
	return ERR_NONE;
}

static enum ks_err read_now(struct kept_reader *k, int64_t end, size_t max_bytes, bool is_strict,
			    struct chunk *out, struct ks_why *why)
{
	enum ks_err err = reader_read_to(k->reader, k->offset, end, max_bytes, out, why);

	if (err || !is_strict || out->bytes.len <= max_bytes)
		return err;
	chunk_fini(out);
	return ERR_EMPTY;
}

enum ks_err kept_reader_read(struct kept_reader *k, int64_t end, size_t max_bytes, bool is_strict,
			     struct chunk *out, struct ks_why *why)
{
	enum ks_err err = k->count ? take_ahead(k, end, max_bytes, is_strict, out)
				   : read_now(k, end, max_bytes, is_strict, out, why);

	if (!err)
		k->offset = batches_end_offset(out->bytes);
	return err;
}

/* --- reading ahead --- */

/* An error is met again, and told, by who asks for it. */
static void read_ahead(struct kept_reader *k)
{
	int64_t offset = k->offset;
	size_t bytes = 0;

	memmove(k->ahead, k->ahead + k->first, k->count * sizeof *k->ahead);
	k->first = 0;
	for (size_t i = 0; i < k->count; i++) {
		bytes += k->ahead[i].bytes.len;
		offset = batches_end_offset(k->ahead[i].bytes);
	}
	while (k->count < AHEAD_CHUNKS && bytes < k->reserved) {
		struct chunk c;
		if (reader_read(k->reader, offset, k->reserved - bytes, &c, NULL))
			break;
		bytes += c.bytes.len;
		offset = batches_end_offset(c.bytes);
		k->ahead[k->count++] = c;
	}
}

/* On a worker. */
static void run_ahead(struct job *j)
{
	struct ahead_job *a = (struct ahead_job *)j;
	struct readers *rs = a->all;

	pthread_mutex_lock(&rs->mtx);
	struct kept_reader *k = a->reader;
	if (k) {
		k->job = NULL;
		k->is_reading = true;
	}
	pthread_mutex_unlock(&rs->mtx);
	free(a);
	if (!k)
		return;
	read_ahead(k);
	pthread_mutex_lock(&rs->mtx);
	k->is_reading = false;
	pthread_cond_broadcast(&rs->has_read);
	pthread_mutex_unlock(&rs->mtx);
}

/* Under mtx. The job that reads ahead; NULL: it shall not. */
static struct ahead_job *plan_ahead(struct readers *rs, struct kept_reader *k, size_t more)
{
	if (more > AHEAD_BYTES_MAX)
		more = AHEAD_BYTES_MAX;
	if (k->count && more <= k->reserved)
		more = k->reserved;
	unreserve(rs, k);
	if (!more || !k->has_come_back || more > rs->ahead_max - rs->ahead_bytes)
		return NULL;
	k->reserved = more;
	rs->ahead_bytes += more;
	k->job = xcalloc(1, sizeof(*k->job));
	*k->job = (struct ahead_job){{.run = run_ahead}, rs, k};
	return k->job;
}

/* Under mtx. NULL: all are reading. */
static struct kept_reader *remove_oldest(struct readers *rs, int64_t put_ms)
{
	for (size_t i = 0; i < rs->count && rs->kept[i]->put_ms <= put_ms; i++)
		if (!rs->kept[i]->is_reading) {
			struct kept_reader *k = remove_at(rs, i);
			unreserve(rs, k);
			return k;
		}
	return NULL;
}

void readers_put(struct readers *rs, struct kept_reader *k, size_t more, int64_t now_ms)
{
	struct kept_reader *gone = NULL;
	struct ahead_job *job = NULL;

	k->put_ms = now_ms;
	pthread_mutex_lock(&rs->mtx);
	if (rs->count == rs->max)
		gone = remove_oldest(rs, INT64_MAX);
	if (rs->count < rs->max) {
		rs->kept[rs->count++] = k;
		job = plan_ahead(rs, k, more);
	} else {
		unreserve(rs, k);
		gone = k;
	}
	pthread_mutex_unlock(&rs->mtx);
	kept_reader_free(gone);
	if (job)
		workers_submit(rs->workers, &job->job);
}

int64_t readers_expire(struct readers *rs, int64_t put_ms)
{
	for (;;) {
		pthread_mutex_lock(&rs->mtx);
		struct kept_reader *k = remove_oldest(rs, put_ms);
		int64_t oldest = rs->count ? rs->kept[0]->put_ms : INT64_MAX;
		pthread_mutex_unlock(&rs->mtx);
		if (!k)
			return oldest;
		kept_reader_free(k);
	}
}

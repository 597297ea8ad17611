/* job.c - see job.h.
 *
 * CF_JOBS: 'j', name -> version, id, epoch, opened, owner (docs/storage.md).
 */
#include "txn/job.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "txn/value.h"

#define KEY_TYPE       'j'
#define RECORD_VERSION 1

struct job {
	char *name; /* immutable */
	/* shared, under the table's lock; written by the owner alone */
	struct job_record record;
};

struct job_table {
	/* owner: shard */
	struct job **jobs; /* by name */
	size_t count, cap;
	pthread_mutex_t lock; /* of the records */
};

struct job_table *job_table_new(void)
{
	struct job_table *t = xcalloc(1, sizeof *t);
	pthread_mutex_init(&t->lock, NULL);
	return t;
}

void job_table_free(struct job_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++) {
		free(t->jobs[i]->name);
		free(t->jobs[i]);
	}
	free(t->jobs);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

/* Where name is, or where it would go. */
static size_t place(const struct job_table *t, const char *name)
{
	size_t low = 0, high = t->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (strcmp(t->jobs[middle]->name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct job *job_find(struct job_table *t, const char *name)
{
	size_t at = place(t, name);
	return at < t->count && strcmp(t->jobs[at]->name, name) == 0 ? t->jobs[at] : NULL;
}

const struct job_record *job_get(const struct job *j)
{
	return &j->record;
}

struct job *job_set(struct job_table *t, const char *name, const struct job_record *r)
{
	struct job *j = job_find(t, name);

	if (!j) {
		size_t at = place(t, name);
		if (t->count == t->cap) {
			t->cap = t->cap ? 2 * t->cap : 16;
			t->jobs = xrealloc(t->jobs, t->cap * sizeof *t->jobs);
		}
		memmove(&t->jobs[at + 1], &t->jobs[at], (t->count - at) * sizeof *t->jobs);
		t->count++;
		j = t->jobs[at] = xcalloc(1, sizeof *j);
		j->name = xstrdup(name);
	}
	pthread_mutex_lock(&t->lock);
	j->record = *r;
	pthread_mutex_unlock(&t->lock);
	return j;
}

void job_describe(struct job_table *t, const struct job *j, struct job_record *out)
{
	pthread_mutex_lock(&t->lock);
	*out = j->record;
	pthread_mutex_unlock(&t->lock);
}

enum ks_err job_check(const struct job *j, int64_t epoch)
{
	return epoch == j->record.epoch ? ERR_NONE : ERR_PRODUCER_FENCED;
}

void job_put(struct store_write *w, const char *name, const struct job_record *r)
{
	struct buf key = {0}, value = {0};

	assert(strlen(name) <= JOB_NAME_MAX);
	buf_append_u8(&key, KEY_TYPE);
	buf_append_str(&key, name);
	buf_append_u8(&value, RECORD_VERSION);
	buf_append_u32be(&value, r->id);
	buf_append_u64be(&value, (uint64_t)r->epoch);
	buf_append_u64be(&value, (uint64_t)r->opened_ms);
	value_append_text(&value, slice_str(r->owner));
	store_put(w, CF_JOBS, buf_slice(&key), buf_slice(&value));
	buf_fini(&key);
	buf_fini(&value);
}

static bool decode(struct slice value, struct job_record *r)
{
	struct cursor c = cursor_of(value);

	if (cursor_u8(&c) != RECORD_VERSION)
		return false;
	r->id = cursor_u32(&c);
	r->epoch = (int64_t)cursor_u64(&c);
	r->opened_ms = (int64_t)cursor_u64(&c);
	struct slice owner = cursor_text(&c);
	if (!cursor_is_done(&c) || owner.len > JOB_OWNER_MAX || r->epoch < 1)
		return false;
	memcpy(r->owner, owner.data, owner.len);
	r->owner[owner.len] = 0;
	return true;
}

enum ks_err job_table_load(struct job_table *t, struct store *s, struct ks_why *why)
{
	static const uint8_t first[] = {KEY_TYPE}, after[] = {KEY_TYPE + 1};
	struct store_iter *it = store_iter_new(s, CF_JOBS, slice_of(first, sizeof first),
					       slice_of(after, sizeof after));
	enum ks_err err = ERR_NONE;

	for (store_iter_first(it); !err && store_iter_valid(it); store_iter_next(it)) {
		struct slice key = store_iter_key(it);
		char name[JOB_NAME_MAX + 1];
		struct job_record r;
		if (key.len < 2 || key.len - 1 > JOB_NAME_MAX ||
		    !decode(store_iter_value(it), &r)) {
			err = ks_fail(why, ERR_CORRUPTION,
				      "the record of job \"%.*s\" is malformed", (int)key.len - 1,
				      (const char *)key.data + 1);
			break;
		}
		memcpy(name, key.data + 1, key.len - 1);
		name[key.len - 1] = 0;
		job_set(t, name, &r);
	}
	if (!err)
		err = store_iter_error(it, why);
	store_iter_free(it);
	return err;
}

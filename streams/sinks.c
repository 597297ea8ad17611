/* sinks.c - see sinks.h. */
#include "streams/sinks.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

#define RECORD_NUMBERS_BYTES 40         /* the most that a record's lengths and deltas take */
#define RESERVE_MAX          (1u << 20) /* what a buffer begins with, at most */

void sinks_fini(struct sinks *s)
{
	for (size_t i = 0; i < s->cap; i++) {
		struct sink *k = s->table[i];
		if (!k)
			continue;
		for (int32_t p = 0; p < k->topic->partitions; p++)
			buf_fini(&k->outs[p].buf);
		free(k->outs);
		free(k);
	}
	free(s->table);
	free(s->used);
	free(s->marks);
	*s = (struct sinks){0};
}

struct sink *sinks_find(struct sinks *s, struct slice name)
{
	if (s->cap == 0)
		return NULL;
	uint64_t hash = XXH3_64bits(name.data, name.len);
	for (size_t i = hash & (s->cap - 1); s->table[i]; i = (i + 1) & (s->cap - 1))
		if (s->table[i]->hash == hash &&
		    slice_equal(slice_str(s->table[i]->topic->name), name))
			return s->table[i];
	return NULL;
}

static void table_insert(struct sinks *s, struct sink *k)
{
	size_t i = k->hash & (s->cap - 1);
	while (s->table[i])
		i = (i + 1) & (s->cap - 1);
	s->table[i] = k;
}

struct sink *sinks_add(struct sinks *s, const struct backend_topic *topic)
{
	struct slice name = slice_str(topic->name);
	struct sink *k = sinks_find(s, name);

	if (k)
		return k;
	if (s->count * 2 >= s->cap) {
		struct sink **old = s->table;
		size_t old_cap = s->cap;
		s->cap = old_cap ? old_cap * 2 : 16;
		s->table = xcalloc(s->cap, sizeof *s->table);
		for (size_t i = 0; i < old_cap; i++)
			if (old[i])
				table_insert(s, old[i]);
		free(old);
	}
	k = xmalloc(sizeof *k);
	*k = (struct sink){
		.topic = topic,
		.hash = XXH3_64bits(name.data, name.len),
		.outs = xcalloc((size_t)topic->partitions, sizeof *k->outs),
	};
	for (int32_t p = 0; p < topic->partitions; p++)
		k->outs[p] = (struct out){.topic = topic, .partition = p};
	table_insert(s, k);
	s->count++;
	return k;
}

static void out_mark(struct sinks *s, struct out *o)
{
	if (s->mark_count == s->mark_cap) {
		s->mark_cap = s->mark_cap ? s->mark_cap * 2 : 16;
		s->marks = xrealloc(s->marks, s->mark_cap * sizeof *s->marks);
	}
	s->marks[s->mark_count++] = (struct out_mark){
		.out = o, .writer = o->writer, .len = o->buf.len, .is_open = o->is_open};
	o->attempt = s->attempt;
}

/* Newest first: an out may have a mark of every attempt. */
static void rollback_to(struct sinks *s, size_t marks)
{
	while (s->mark_count > marks) {
		const struct out_mark *m = &s->marks[--s->mark_count];
		m->out->writer = m->writer;
		m->out->buf.len = m->len;
		m->out->is_open = m->is_open;
		m->out->attempt = 0;
	}
}

void sinks_rollback(struct sinks *s)
{
	rollback_to(s, s->attempt_marks);
	s->bytes = s->attempt_bytes;
	s->records = s->attempt_records;
}

void sinks_rollback_record(struct sinks *s)
{
	rollback_to(s, 0);
	s->bytes = s->record_bytes;
	s->records = s->record_records;
}

static void out_list(struct sinks *s, struct out *o)
{
	if (s->used_count == s->used_cap) {
		s->used_cap = s->used_cap ? s->used_cap * 2 : 16;
		s->used = xrealloc(s->used, s->used_cap * sizeof *s->used);
	}
	s->used[s->used_count++] = o;
	o->is_listed = true;
	size_t reserve = o->last_bytes + o->last_bytes / 4;
	buf_reserve(&o->buf, reserve < RESERVE_MAX ? reserve : RESERVE_MAX);
}

static void out_close(struct out *o)
{
	if (o->is_open)
		batch_writer_finish(&o->writer, CODEC_NONE, NULL);
	o->is_open = false;
}

static inline void out_touch(struct sinks *s, struct out *o)
{
	if (!o->is_listed)
		out_list(s, o);
	if (o->attempt != s->attempt)
		out_mark(s, o);
}

enum ks_err sinks_put(struct sinks *s, struct sink *sink, int32_t partition,
		      const struct sink_record *r)
{
	assert(partition >= 0 && partition < sink->topic->partitions);
	struct out *o = &sink->outs[partition];
	size_t size = r->key.len + r->value.len + r->headers.len + RECORD_NUMBERS_BYTES;
	size_t max = sink->topic->batch_bytes_max;

	if (sink->topic->wants_keys && !r->key.data)
		return ERR_INVALID_RECORD;
	if (size + BATCH_HEADER_BYTES > max)
		return ERR_MESSAGE_TOO_LARGE;
	if (s->bytes - s->attempt_bytes + size > SINK_RECORD_BYTES)
		return ERR_TOO_LARGE;
	out_touch(s, o);
	if (max > SINK_BATCH_BYTES)
		max = SINK_BATCH_BYTES;
	if (o->is_open && batch_writer_size(&o->writer) + size > max)
		out_close(o);
	if (!o->is_open) {
		batch_writer_begin(&o->writer, &o->buf);
		o->is_open = true;
	}
	batch_writer_append(&o->writer, r->timestamp, r->key, r->value, r->headers,
			    r->header_count);
	s->bytes += size;
	s->records++;
	return ERR_NONE;
}

enum ks_err sinks_put_batch(struct sinks *s, struct sink *sink, int32_t partition,
			    struct slice batch, int32_t records)
{
	struct out *o = &sink->outs[partition];

	if (batch.len > sink->topic->batch_bytes_max)
		return ERR_MESSAGE_TOO_LARGE;
	out_touch(s, o);
	out_close(o);
	buf_append(&o->buf, batch.data, batch.len);
	s->bytes += batch.len;
	s->records += (uint64_t)records;
	return ERR_NONE;
}

void sinks_take(struct sinks *s, struct backend_output **out, size_t *count, size_t *cap)
{
	for (size_t i = 0; i < s->used_count; i++) {
		struct out *o = s->used[i];
		out_close(o);
		o->is_listed = false;
		o->attempt = 0;
		o->last_bytes = o->buf.len;
		if (o->buf.len == 0)
			continue;
		if (*count == *cap) {
			*cap = *cap ? *cap * 2 : 16;
			*out = xrealloc(*out, *cap * sizeof **out);
		}
		(*out)[(*count)++] = (struct backend_output){
			.topic = o->topic,
			.partition = o->partition,
			.batches = frame_take_buf(&o->buf),
		};
	}
	s->used_count = 0;
	s->mark_count = s->attempt_marks = 0;
	s->bytes = 0;
	s->records = 0;
}

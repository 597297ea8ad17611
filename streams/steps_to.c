/* steps_to.c - where records leave a piece: output topics and repartition topics.
 *
 * A key or value that nobody touched is copied byte for byte. Without a partition function the partition is
 * murmur2 of the encoded key, as Java's clients have it; a record without a key goes to the input's partition modulo
 * the output's count, so that a replay puts it where it was.
 */
#include "streams/run.h"

#include <string.h>

#include "wire/checksum.h"

static inline enum ks_err encode(struct thread *th, enum serde s, struct datum *d,
				 struct slice *out, struct ks_why *why)
{
	bool is_as_it_came =
		(d->kind == DATUM_JSON && s == SERDE_JSON && (!d->doc || !doc_is_dirty(d->doc))) ||
		(d->kind == DATUM_STRING && (s == SERDE_STRING || s == SERDE_BYTES)) ||
		(d->kind == DATUM_BYTES && s == SERDE_BYTES);

	if (is_as_it_came) {
		*out = d->bytes;
		return ERR_NONE;
	}
	return datum_encode(&th->ctx, s, d, out, why);
}

static enum ks_err pick_topic(struct task *t, struct node *n, struct rec *r, struct sink **sink)
{
	struct thread *th = t->thread;
	struct ks_why why;
	struct datum name;
	enum ks_err err =
		th->script->ops->pick(th->script, n->step->fn, r, &name, &th->script_error);

	if (err)
		return fail_script(t, n, err);
	why.text[0] = '\0'; /* clearing all of it would cost as much as finding the topic */
	if (name.kind != DATUM_STRING)
		return fail(t, n, ERR_SCRIPT, "the function of `to` must give a topic, it gave %s",
			    datum_describe(&th->ctx, &name));
	*sink = sinks_find(&th->sinks, name.bytes);
	if (*sink)
		return ERR_NONE;
	char *text = arena_text(&th->arena, name.bytes);
	err = strlen(text) == name.bytes.len
		      ? thread_sink(th, text, sink, &why)
		      : ks_fail(&why, ERR_INVALID_TOPIC_EXCEPTION, "a topic name with a NUL byte");
	return err ? fail(t, n, err, "%s", why.text) : ERR_NONE;
}

static enum ks_err pick_partition(struct task *t, struct node *n, struct rec *r, int32_t count,
				  int32_t *partition)
{
	struct thread *th = t->thread;
	struct datum d;
	enum ks_err err =
		th->script->ops->pick(th->script, n->step->partition_fn, r, &d, &th->script_error);

	if (err)
		return fail_script(t, n, err);
	if (d.kind == DATUM_F64 && d.f64 >= 0 && d.f64 < count && d.f64 == (double)(int32_t)d.f64)
		d = (struct datum){.kind = DATUM_I64, .i64 = (int64_t)d.f64};
	if (d.kind != DATUM_I64)
		return fail(t, n, ERR_SCRIPT,
			    "the partition function must give an integer, it gave %s",
			    datum_describe(&th->ctx, &d));
	if (d.i64 < 0 || d.i64 >= count)
		return fail(t, n, ERR_SCRIPT,
			    "the partition function gave %lld; the topic has partitions 0 to %d",
			    (long long)d.i64, count - 1);
	*partition = (int32_t)d.i64;
	return ERR_NONE;
}

static enum ks_err put(struct task *t, struct node *n, struct sink *sink, struct rec *r,
		       enum serde key_serde, enum serde value_serde)
{
	struct thread *th = t->thread;
	struct ks_why why;
	struct sink_record out = {
		.timestamp = r->timestamp,
		.headers = r->headers,
		.header_count = r->header_count,
	};
	int32_t count = sink->topic->partitions, partition = 0;
	why.text[0] = '\0';
	enum ks_err err = encode(th, key_serde, &r->key, &out.key, &why);

	if (err)
		return fail(t, n, err, "key for %s: %s", sink->topic->name, why.text);
	err = encode(th, value_serde, &r->value, &out.value, &why);
	if (err)
		return fail(t, n, err, "value for %s: %s", sink->topic->name, why.text);
	if (n->step->kind == STEP_TO && n->step->partition_fn != FN_NONE)
		err = pick_partition(t, n, r, count, &partition);
	else
		partition = out.key.data ? murmur2_partition(out.key.data, out.key.len, count)
					 : t->partition % count;
	if (err)
		return err;
	err = sinks_put(&th->sinks, sink, partition, &out);
	if (err == ERR_INVALID_RECORD)
		return fail(t, n, ERR_ENCODE,
			    "the record has no key, and topic %s is compacted: it keeps the latest "
			    "record of each key; put ks.rekey or a map that gives a key before it",
			    sink->topic->name);
	if (err == ERR_TOO_LARGE)
		return fail(t, n, err, "more than %u MiB are made of one record",
			    SINK_RECORD_BYTES >> 20);
	if (err)
		return fail(t, n, err,
			    "a record of %zu bytes is over max.message.bytes (%zu) of topic %s",
			    out.key.len + out.value.len + out.headers.len,
			    sink->topic->batch_bytes_max, sink->topic->name);
	return ERR_NONE;
}

/* A record also goes on behind `to`: what follows may write it elsewhere. */
enum ks_err step_to(struct task *t, struct node *n, struct rec *r)
{
	const struct step *s = n->step;
	struct sink *sink = n->sink;
	enum ks_err err = ERR_NONE;

	if (!sink)
		err = pick_topic(t, n, r, &sink);
	if (!err)
		err = put(t, n, sink, r, s->has_key_serde ? s->key_serde : sink->key_serde,
			  s->has_value_serde ? s->value_serde : sink->value_serde);
	return err || !n->next ? err : node_forward(t, n, r);
}

enum ks_err step_repartition(struct task *t, struct node *n, struct rec *r)
{
	if (r->key.kind == DATUM_NULL)
		return fail(t, n, ERR_ENCODE,
			    "the record has no key for the state that follows: what it is grouped "
			    "by is missing or null");
	return put(t, n, n->sink, r, n->key_serde, n->value_serde);
}

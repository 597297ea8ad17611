/* steps_state.c - steps with state: aggregates per key, dedup, and the script's own store.
 *
 * Aggregates send every new value on: key = the key they are grouped by, value = the aggregate; null when the script
 * deleted it.
 */
#include "streams/run.h"

#include <string.h>

/* --- data as state keeps them; the order of packed bytes is that of integers and of strings --- */

enum packed_kind {
	PACKED_BYTES = 'b',
	PACKED_F64 = 'f',
	PACKED_I64 = 'i',
	PACKED_JSON = 'j',
	PACKED_STRING = 's'
};

static void pack_u64(uint8_t *p, uint8_t kind, uint64_t raw)
{
	p[0] = kind;
	put_u64be(p + 1, raw);
}

static void pack_i64(uint8_t p[9], int64_t v)
{
	pack_u64(p, PACKED_I64, (uint64_t)v ^ UINT64_C(1) << 63);
}

/* Null packs to nothing at all. */
void datum_pack(struct record_context *c, struct datum *d, struct buf *out)
{
	uint8_t number[9];
	uint64_t raw;

	buf_clear(out);
	switch (d->kind) {
	case DATUM_NULL:
		return;
	case DATUM_I64:
		pack_i64(number, d->i64);
		buf_append(out, number, sizeof number);
		return;
	case DATUM_F64:
		memcpy(&raw, &d->f64, 8);
		raw = raw >> 63 ? ~raw : raw | UINT64_C(1) << 63;
		pack_u64(number, PACKED_F64, raw);
		buf_append(out, number, sizeof number);
		return;
	case DATUM_JSON: {
		struct slice text = d->bytes;
		if (d->doc && doc_is_dirty(d->doc))
			datum_encode(c, SERDE_JSON, d, &text, NULL);
		buf_append_u8(out, PACKED_JSON);
		buf_append(out, text.data, text.len);
		return;
	}
	case DATUM_BYTES:
	case DATUM_STRING:
		buf_append_u8(out, d->kind == DATUM_STRING ? PACKED_STRING : PACKED_BYTES);
		buf_append(out, d->bytes.data, d->bytes.len);
		return;
	}
}

static enum ks_err unpack_number(struct slice packed, struct datum *out)
{
	if (packed.len != 9)
		return ERR_CORRUPTION;
	uint64_t raw = get_u64be(packed.data + 1);
	if (packed.data[0] == PACKED_I64) {
		*out = (struct datum){.kind = DATUM_I64, .i64 = (int64_t)(raw ^ UINT64_C(1) << 63)};
		return ERR_NONE;
	}
	raw = raw >> 63 ? raw & ~(UINT64_C(1) << 63) : ~raw;
	*out = (struct datum){.kind = DATUM_F64};
	memcpy(&out->f64, &raw, 8);
	return ERR_NONE;
}

enum ks_err datum_unpack(struct slice packed, struct datum *out)
{
	if (packed.len == 0)
		return ERR_CORRUPTION;
	struct slice rest = slice_of(packed.data + 1, packed.len - 1);
	switch (packed.data[0]) {
	case PACKED_I64:
	case PACKED_F64:
		return unpack_number(packed, out);
	case PACKED_JSON:
		*out = (struct datum){.kind = DATUM_JSON, .bytes = rest};
		return ERR_NONE;
	case PACKED_STRING:
		*out = (struct datum){.kind = DATUM_STRING, .bytes = rest};
		return ERR_NONE;
	case PACKED_BYTES:
		*out = (struct datum){.kind = DATUM_BYTES, .bytes = rest};
		return ERR_NONE;
	default:
		return ERR_CORRUPTION;
	}
}

/* --- a key's place in the store --- */

struct place {
	struct slice key; /* packed, in the record arena */
	struct state_ref ref;
	struct slice value; /* borrowed from the cache */
	bool found;
};

static enum ks_err find_place(struct task *t, const struct node *n, struct datum *key,
			      struct place *p)
{
	struct thread *th = t->thread;
	struct ks_why why = {""};

	datum_pack(&th->ctx, key, &th->encoded);
	p->key = slice_of(arena_copy(&th->arena, th->encoded.data, th->encoded.len),
			  th->encoded.len);
	p->value = SLICE_NULL;
	enum ks_err err = state_find(n->state, p->key, &p->ref, &p->value, &p->found, &why);
	return err ? fail(t, n, err, "%s", why.text) : ERR_NONE;
}

static enum ks_err group_place(struct task *t, const struct node *n, struct rec *r, struct place *p)
{
	if (r->key.kind == DATUM_NULL)
		return fail(t, n, ERR_SCRIPT,
			    "the record has no key to %s by; put ks.group by something before it",
			    step_kind_name(n->step->kind));
	return find_place(t, n, &r->key, p);
}

static enum ks_err unpack_value(struct task *t, const struct node *n, struct slice packed,
				struct datum *out)
{
	if (datum_unpack(packed, out))
		return fail(t, n, ERR_CORRUPTION, "store \"%s\" holds something unreadable",
			    n->step->store);
	return ERR_NONE;
}

/* As unpack_value, and the value stays when the cache changes. */
static enum ks_err unpack_copy(struct task *t, const struct node *n, struct slice packed,
			       struct datum *out)
{
	packed.data = arena_copy(&t->thread->arena, packed.data, packed.len);
	return unpack_value(t, n, packed, out);
}

static void write_value(struct task *t, const struct node *n, const struct place *p,
			struct datum *value)
{
	struct thread *th = t->thread;

	datum_pack(&th->ctx, value, &th->encoded);
	state_write(n->state, &p->ref, p->key,
		    value->kind == DATUM_NULL ? SLICE_NULL : buf_slice(&th->encoded));
}

static enum ks_err send(struct task *t, const struct node *n, struct rec *r, struct datum value)
{
	struct rec out = *r;

	if (!n->next)
		return ERR_NONE;
	out.value = value;
	return node_forward(t, n, &out);
}

/* --- count, sum, min, max --- */

/* An earlier version of the job may have kept something else under the same name. */
static enum ks_err check_kept(struct task *t, const struct node *n, struct datum *kept)
{
	enum step_kind kind = n->step->kind;

	if (kept->kind == DATUM_I64 || (kept->kind == DATUM_F64 && kind != STEP_COUNT) ||
	    (kept->kind == DATUM_STRING && (kind == STEP_MIN || kind == STEP_MAX)))
		return ERR_NONE;
	return fail(t, n, ERR_DECODE,
		    "store \"%s\" holds %s, which is no %s; give the step another store with as=",
		    n->step->store, datum_describe(&t->thread->ctx, kept), step_kind_name(kind));
}

enum ks_err step_count(struct task *t, struct node *n, struct rec *r)
{
	struct datum count = {.kind = DATUM_I64};
	uint8_t packed[9];
	struct place p;
	enum ks_err err = group_place(t, n, r, &p);

	if (!err && p.found)
		err = unpack_value(t, n, p.value, &count);
	if (!err)
		err = check_kept(t, n, &count);
	if (err)
		return err;
	count.i64++;
	pack_i64(packed, count.i64);
	state_write(n->state, &p.ref, p.key, slice_of(packed, sizeof packed));
	return send(t, n, r, count);
}

/* The number (or, for min and max, string) of the record; kind NULL: it has none and changes nothing. */
static enum ks_err operand(struct task *t, const struct node *n, struct rec *r, struct datum *out)
{
	struct thread *th = t->thread;
	struct ks_why why = {""};
	bool found = true;
	enum ks_err err;

	if (n->path) {
		err = datum_path(&th->ctx, &r->value, n->path, out, &found, &why);
	} else if (n->step->fn != FN_NONE) {
		err = th->script->ops->pick(th->script, n->step->fn, r, out, &th->script_error);
		if (err)
			return fail_script(t, n, err);
	} else {
		err = datum_scalar(&th->ctx, &r->value, out, &why);
	}
	if (err)
		return fail(t, n, err, "%s", why.text);
	if (!found)
		*out = (struct datum){.kind = DATUM_NULL};
	if (out->kind == DATUM_BYTES && n->step->kind != STEP_SUM)
		out->kind = DATUM_STRING;
	bool is_number = out->kind == DATUM_I64 || out->kind == DATUM_F64;
	if (is_number || out->kind == DATUM_NULL ||
	    (out->kind == DATUM_STRING && n->step->kind != STEP_SUM))
		return ERR_NONE;
	return fail(t, n, ERR_DECODE, "%s needs %s, the value is %s", step_kind_name(n->step->kind),
		    n->step->kind == STEP_SUM ? "a number" : "numbers or strings",
		    datum_describe(&th->ctx, out));
}

static double as_f64(const struct datum *d)
{
	return d->kind == DATUM_I64 ? (double)d->i64 : d->f64;
}

static enum ks_err add(struct task *t, const struct node *n, const struct datum *a,
		       const struct datum *b, struct datum *out)
{
	if (a->kind == DATUM_I64 && b->kind == DATUM_I64) {
		out->kind = DATUM_I64;
		if (__builtin_add_overflow(a->i64, b->i64, &out->i64))
			return fail(t, n, ERR_SCRIPT, "the sum is beyond 64 bits");
		return ERR_NONE;
	}
	*out = (struct datum){.kind = DATUM_F64, .f64 = as_f64(a) + as_f64(b)};
	return ERR_NONE;
}

/* < 0, 0, > 0; numbers among each other, strings among each other. */
static enum ks_err compare(struct task *t, const struct node *n, const struct datum *a,
			   const struct datum *b, int *order)
{
	if (a->kind == DATUM_I64 && b->kind == DATUM_I64) {
		*order = (a->i64 > b->i64) - (a->i64 < b->i64);
		return ERR_NONE;
	}
	if ((a->kind == DATUM_STRING) != (b->kind == DATUM_STRING))
		return fail(t, n, ERR_DECODE, "a number and a string cannot be compared");
	if (a->kind == DATUM_STRING)
		*order = slice_compare(a->bytes, b->bytes);
	else
		*order = (as_f64(a) > as_f64(b)) - (as_f64(a) < as_f64(b));
	return ERR_NONE;
}

enum ks_err step_number(struct task *t, struct node *n, struct rec *r)
{
	struct datum now, old, new;
	struct place p;
	int order = 0;
	enum ks_err err = operand(t, n, r, &now);

	if (err || now.kind == DATUM_NULL)
		return err;
	err = group_place(t, n, r, &p);
	if (err)
		return err;
	new = now;
	if (p.found) {
		err = unpack_copy(t, n, p.value, &old);
		if (!err)
			err = check_kept(t, n, &old);
		if (!err && n->step->kind == STEP_SUM)
			err = add(t, n, &old, &now, &new);
		else if (!err)
			err = compare(t, n, &now, &old, &order);
		if (err)
			return err;
		if (n->step->kind == STEP_MIN && order >= 0)
			new = old;
		if (n->step->kind == STEP_MAX && order <= 0)
			new = old;
	}
	write_value(t, n, &p, &new);
	return send(t, n, r, new);
}

/* --- reduce, aggregate --- */

enum ks_err step_fold(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	struct datum acc, out;
	struct place p;
	enum ks_err err = group_place(t, n, r, &p);

	if (err)
		return err;
	if (p.found) {
		err = unpack_copy(t, n, p.value, &acc);
		if (err)
			return err;
	} else if (n->step->kind == STEP_REDUCE) {
		out = r->value; /* the first value is the first acc */
		write_value(t, n, &p, &out);
		return send(t, n, r, out);
	} else {
		struct slice text = slice_str(n->step->init ? n->step->init : "null");
		text.data = arena_copy(&th->arena, text.data, text.len);
		struct datum json = {.kind = DATUM_JSON, .bytes = text};
		err = datum_scalar(&th->ctx, &json, &acc, NULL);
		if (err)
			return fail(t, n, err, "init is not json");
	}
	uint64_t lookups = th->pool.lookups;
	err = th->script->ops->fold(th->script, n->step->fn, &acc, r, &out, &th->script_error);
	if (err)
		return fail_script(t, n, err);
	/* the function may have kept the ctx of a process step that forwarded to it, and used it */
	if (th->pool.lookups != lookups)
		err = group_place(t, n, r, &p);
	if (err)
		return err;
	write_value(t, n, &p, &out);
	return send(t, n, r, out);
}

/* --- dedup --- */

enum ks_err step_dedup(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	struct ks_why why = {""};
	struct datum id = r->key;
	bool found = true;
	enum ks_err err = ERR_NONE;

	if (n->path) {
		err = datum_path(&th->ctx, &r->value, n->path, &id, &found, &why);
		if (err)
			return fail(t, n, err, "%s", why.text);
	} else if (n->step->fn != FN_NONE) {
		err = th->script->ops->pick(th->script, n->step->fn, r, &id, &th->script_error);
		if (err)
			return fail_script(t, n, err);
	}
	if (!found || id.kind == DATUM_NULL)
		return fail(t, n, ERR_DECODE, "the record has no id to tell it from others: %s%s%s",
			    n->path ? "\"" : "", n->path ? n->step->path : "its key",
			    n->path ? "\" is missing or null" : " is null");
	datum_pack(&th->ctx, &id, &th->encoded);
	if (dedup_seen(n->dedup, buf_slice(&th->encoded), n->pipe->stream_time))
		return ERR_NONE;
	return node_forward(t, n, r);
}

/* --- process --- */

#define CALL_PUT_MAX   (64u << 20)  /* put and undone by one call, bytes */
#define CALL_ARENA_MAX (256u << 20) /* read and forwarded by one call */

struct script_store {
	struct task *task;
	struct node *node;
	struct rec *rec;
	size_t put_bytes;
	size_t arena_bytes; /* when the call began */
};

/* What a call takes from ctx and gives to it is not in the sandbox's memory: it has bounds of its own. */
static enum ks_err check_bounds(const struct script_store *s, struct ks_why *why)
{
	const struct thread *th = s->task->thread;

	if (s->put_bytes <= CALL_PUT_MAX && th->undo.log.len <= CALL_PUT_MAX &&
	    th->arena.total_bytes - s->arena_bytes <= CALL_ARENA_MAX)
		return ERR_NONE;
	return ks_fail(why, ERR_TOO_LARGE,
		       "one record reads, puts and forwards hundreds of MiB through ctx");
}

/* The place of a key that a script names. */
static enum ks_err script_find(struct script_store *s, struct datum *key, struct place *p,
			       struct ks_why *why)
{
	if (key->kind == DATUM_NULL)
		return ks_fail(why, ERR_SCRIPT, "nil is no key");
	enum ks_err err = check_bounds(s, why);
	if (err)
		return err;
	err = find_place(s->task, s->node, key, p);
	return err ? ks_fail(why, err, "%s", s->task->thread->failure.e.message) : ERR_NONE;
}

static enum ks_err script_get(void *self, struct datum *key, struct datum *value, bool *found,
			      struct ks_why *why)
{
	struct script_store *s = self;
	struct place p;
	enum ks_err err = script_find(s, key, &p, why);

	if (err)
		return err;
	*found = p.found;
	if (p.found)
		err = unpack_copy(s->task, s->node, p.value, value);
	return err ? ks_fail(why, err, "%s", s->task->thread->failure.e.message) : ERR_NONE;
}

static enum ks_err script_put(void *self, struct datum *key, struct datum *value,
			      struct ks_why *why)
{
	struct script_store *s = self;
	struct place p;
	enum ks_err err = script_find(s, key, &p, why);

	if (err)
		return err;
	write_value(s->task, s->node, &p, value);
	s->put_bytes += p.key.len + s->task->thread->encoded.len;
	return ERR_NONE;
}

static enum ks_err script_forward(void *self, struct datum *value, struct datum *key,
				  struct ks_why *why)
{
	struct script_store *s = self;
	struct rec out = *s->rec;
	enum ks_err err = check_bounds(s, why);

	if (err)
		return err;
	out.value = *value;
	if (key) {
		err = check_new_key(s->task, s->node, s->rec, key);
		out.key = *key;
	}
	if (!err)
		err = node_forward(s->task, s->node, &out);
	return err ? ks_fail(why, err, "%s", s->task->thread->failure.e.message) : ERR_NONE;
}

enum ks_err step_script(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	struct script_store self = {
		.task = t, .node = n, .rec = r, .arena_bytes = th->arena.total_bytes};
	struct process_context ctx = {
		.self = &self,
		.get = script_get,
		.put = script_put,
		.forward = script_forward,
		.stream_time = n->pipe->stream_time,
	};
	enum ks_err err =
		th->script->ops->process(th->script, n->step->fn, r, &ctx, &th->script_error);

	return err ? fail_script(t, n, err) : ERR_NONE;
}

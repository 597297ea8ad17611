/* steps_basic.c - steps without state: they drop, change, multiply and look at records. */
#include "streams/run.h"

#include <xxhash.h>

#include "base/log.h"
#include "streams/excerpt.h"

static enum ks_err test_path(struct task *t, struct node *n, struct doc_path *path,
			     const char *equals, struct rec *r, bool *truthy)
{
	struct ks_why why = {""};
	struct datum found;
	bool is_there;
	enum ks_err err = datum_path(&t->thread->ctx, &r->value, path, &found, &is_there, &why);

	if (err)
		return fail(t, n, err, "%s", why.text);
	if (!equals) {
		*truthy = is_there && datum_is_truthy(&found);
		return ERR_NONE;
	}
	struct slice text;
	if (is_there && found.kind == DATUM_NULL)
		text = slice_str("null");
	else if (is_there)
		err = datum_encode(&t->thread->ctx, SERDE_JSON, &found, &text, &why);
	if (err)
		return fail(t, n, err, "%s", why.text);
	*truthy = is_there && slice_equal(text, slice_str(equals));
	return ERR_NONE;
}

static enum ks_err test(struct task *t, struct node *n, struct rec *r, bool *truthy)
{
	struct thread *th = t->thread;

	if (n->path)
		return test_path(t, n, n->path, NULL, r, truthy);
	enum ks_err err =
		th->script->ops->test(th->script, n->step->fn, r, truthy, &th->script_error);
	return err ? fail_script(t, n, err) : ERR_NONE;
}

enum ks_err step_filter(struct task *t, struct node *n, struct rec *r)
{
	bool keep = false;
	enum ks_err err = test(t, n, r, &keep);

	return err || !keep ? err : node_forward(t, n, r);
}

enum ks_err step_reject(struct task *t, struct node *n, struct rec *r)
{
	bool drop = false;
	enum ks_err err = test(t, n, r, &drop);

	return err || drop ? err : node_forward(t, n, r);
}

enum ks_err check_new_key(struct task *t, const struct node *n, struct rec *r, struct datum *key)
{
	struct record_context *c = &t->thread->ctx;
	struct ks_why why = {""};
	struct slice was, is;

	if (!n->key_is_pinned)
		return ERR_NONE;
	enum serde s = n->key_serde;
	enum ks_err err = datum_encode(c, s, &r->key, &was, &why);
	if (!err)
		err = datum_encode(c, s, key, &is, &why);
	if (err)
		return fail(t, n, err, "key: %s", why.text);
	if (slice_equal(was, is))
		return ERR_NONE;
	return fail(
		t, n, ERR_SCRIPT,
		"%s gave the record another key, which may belong to another partition than the "
		"state that follows; put ks.rekey in between",
		step_kind_name(n->step->kind));
}

enum ks_err step_map(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	struct rec out = *r;
	bool has_key = false;
	enum ks_err err = th->script->ops->map(th->script, n->step->fn, r, &out.value, &out.key,
					       &has_key, &th->script_error);

	if (err)
		return fail_script(t, n, err);
	if (has_key)
		err = check_new_key(t, n, r, &out.key);
	else
		out.key = r->key;
	return err ? err : node_forward(t, n, &out);
}

/* What a flat_map and a process step send on while their function runs. */
struct emission {
	struct task *task;
	struct node *node;
	struct rec *rec;
};

static enum ks_err emit(void *self, struct datum *value, struct datum *key)
{
	struct emission *e = self;
	struct rec out = *e->rec;

	out.value = *value;
	if (key) {
		enum ks_err err = check_new_key(e->task, e->node, e->rec, key);
		if (err)
			return err;
		out.key = *key;
	}
	return node_forward(e->task, e->node, &out);
}

enum ks_err step_flat_map(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	struct emission e = {t, n, r};
	struct script_emit to = {.self = &e, .emit = emit};
	enum ks_err err =
		th->script->ops->flat_map(th->script, n->step->fn, r, &to, &th->script_error);

	return err ? fail_script(t, n, err) : ERR_NONE;
}

static enum ks_err explode_element(struct task *t, struct node *n, struct rec *r, struct doc *doc,
				   doc_node at)
{
	struct thread *th = t->thread;
	struct rec out = *r;

	out.value = (struct datum){.kind = DATUM_JSON};
	if (doc_is_dirty(doc)) {
		buf_clear(&th->scratch);
		doc_write(doc, at, &th->scratch);
		out.value.bytes = slice_of(
			arena_copy(&th->arena, th->scratch.data, th->scratch.len), th->scratch.len);
	} else {
		out.value.bytes = doc_text(doc, at);
	}
	return node_forward(t, n, &out);
}

/* A missing or null array has no elements; anything else that is no array is an error. */
enum ks_err step_explode(struct task *t, struct node *n, struct rec *r)
{
	struct ks_why why = {""};
	struct doc *doc;
	enum ks_err err = datum_doc(&t->thread->ctx, &r->value, &doc, &why);

	if (err)
		return fail(t, n, err, "%s", why.text);
	if (!doc)
		return fail(t, n, ERR_DECODE, "explode needs json, the value is %s",
			    datum_describe(&t->thread->ctx, &r->value));
	doc_node array = doc_find(doc, n->path);
	if (array == DOC_NONE || doc_type(doc, array) == DOC_NULL)
		return ERR_NONE;
	if (doc_type(doc, array) != DOC_ARRAY)
		return fail(t, n, ERR_DECODE, "\"%s\" is not an array", n->step->path);
	for (doc_node at = doc_first(doc, array); at != DOC_NONE && !err; at = doc_next(doc, at))
		err = explode_element(t, n, r, doc, at);
	return err;
}

enum ks_err step_rekey(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	struct rec out = *r;
	struct ks_why why = {""};
	bool found = true;
	enum ks_err err;

	if (n->path) {
		err = datum_path(&th->ctx, &r->value, n->path, &out.key, &found, &why);
		if (err)
			return fail(t, n, err, "%s", why.text);
	} else {
		err = th->script->ops->pick(th->script, n->step->fn, r, &out.key,
					    &th->script_error);
		if (err)
			return fail_script(t, n, err);
	}
	if (!found)
		out.key = (struct datum){.kind = DATUM_NULL};
	return node_forward(t, n, &out);
}

/* group by the key as it is */
enum ks_err step_pass(struct task *t, struct node *n, struct rec *r)
{
	return node_forward(t, n, r);
}

enum ks_err step_split(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;

	for (size_t i = 0; i < n->step->branch_count; i++) {
		const struct branch *b = &n->step->branches[i];
		bool takes = true;
		enum ks_err err = ERR_NONE;
		if (n->when_paths[i]) {
			err = test_path(t, n, n->when_paths[i], b->when_equals, r, &takes);
		} else if (b->when != FN_NONE) {
			err = th->script->ops->test(th->script, b->when, r, &takes,
						    &th->script_error);
			if (err)
				err = fail_script(t, n, err);
		}
		if (err)
			return err;
		if (takes)
			return n->branches[i] ? n->branches[i]->process(t, n->branches[i], r)
					      : ERR_NONE;
	}
	return ERR_NONE;
}

enum ks_err step_peek(struct task *t, struct node *n, struct rec *r)
{
	struct thread *th = t->thread;
	enum ks_err err = th->script->ops->call(th->script, n->step->fn, r, &th->script_error);

	return err ? fail_script(t, n, err) : node_forward(t, n, r);
}

static void append_datum(struct thread *th, struct datum *d, struct buf *text)
{
	struct slice bytes = SLICE_NULL;
	enum serde s = d->kind == DATUM_STRING || d->kind == DATUM_BYTES ? SERDE_BYTES : SERDE_JSON;

	if (datum_encode(&th->ctx, s, d, &bytes, NULL))
		buf_append_str(text, "?");
	else
		excerpt_bytes(text, bytes, 200);
}

enum ks_err step_log(struct task *t, struct node *n, struct rec *r)
{
	struct buf text = {0};

	if (n->step->message)
		buf_printf(&text, "%s ", n->step->message);
	append_datum(t->thread, &r->key, &text);
	buf_append_str(&text, " ");
	append_datum(t->thread, &r->value, &text);
	log_info("job", "%s[%d]@%lld %s", r->topic, r->partition, (long long)r->offset,
		 buf_cstr(&text));
	buf_fini(&text);
	return node_forward(t, n, r);
}

/* By the record's place, so that a replay keeps the same ones. */
enum ks_err step_sample(struct task *t, struct node *n, struct rec *r)
{
	uint64_t place[2] = {(uint64_t)r->offset, (uint64_t)(uint32_t)r->partition};
	uint64_t hash = XXH3_64bits(place, sizeof place);

	return hash % (uint64_t)n->step->every == 0 ? node_forward(t, n, r) : ERR_NONE;
}

/* rig.h - a job for one test: built by hand, its functions written in C, over a broker in memory or on RocksDB. */
#ifndef TESTS_UNIT_STREAMS_RIG_H
#define TESTS_UNIT_STREAMS_RIG_H

#include "streams/engine.h"
#include "streams/plan.h"
#include "tests/check.h"
#include "tests/scratch.h"
#include "wire/batch.h"
#include "wire/checksum.h"

/* --- functions of a script, in C --- */

struct fake_call {
	struct rec *r;
	struct record_context *ctx;
	/* what the kind of call has; the rest NULL */
	bool *truthy, *has_key;
	struct datum *acc, *value, *key, *out;
	struct script_emit *emit;
	struct process_context *process;
	struct script_error *error;
};
typedef enum ks_err (*fake_fn)(struct fake_call *c);

struct fake_script {
	struct script base;
	struct record_context *ctx;
	const fake_fn *fns;
};

static inline enum ks_err fake_raise(struct fake_call *c, const char *message)
{
	snprintf(c->error->message, sizeof c->error->message, "%s", message);
	snprintf(c->error->where, sizeof c->error->where, "job.lua:7");
	snprintf(c->error->function, sizeof c->error->function, "checked");
	snprintf(c->error->traceback, sizeof c->error->traceback, "stack traceback: job.lua:7");
	return ERR_SCRIPT;
}

static inline struct fake_script *fake_of(struct script *s)
{
	return (struct fake_script *)s;
}

static inline void fake_free(struct script *s)
{
	free(s);
}
static inline void fake_begin_record(struct script *s, const struct rec *r,
				     struct record_context *c)
{
	(void)r;
	fake_of(s)->ctx = c;
}
static inline enum ks_err fake_invoke(struct script *s, int fn, struct rec *r, struct fake_call *c,
				      struct script_error *e)
{
	*e = (struct script_error){0};
	c->r = r;
	c->ctx = fake_of(s)->ctx;
	c->error = e;
	return fake_of(s)->fns[fn](c);
}
static inline enum ks_err fake_test(struct script *s, int fn, struct rec *r, bool *truthy,
				    struct script_error *e)
{
	struct fake_call c = {.truthy = truthy};
	return fake_invoke(s, fn, r, &c, e);
}
static inline enum ks_err fake_call_fn(struct script *s, int fn, struct rec *r,
				       struct script_error *e)
{
	struct fake_call c = {0};
	return fake_invoke(s, fn, r, &c, e);
}
static inline enum ks_err fake_map(struct script *s, int fn, struct rec *r, struct datum *value,
				   struct datum *key, bool *has_key, struct script_error *e)
{
	struct fake_call c = {.value = value, .key = key, .has_key = has_key};
	return fake_invoke(s, fn, r, &c, e);
}
static inline enum ks_err fake_flat_map(struct script *s, int fn, struct rec *r,
					struct script_emit *emit, struct script_error *e)
{
	struct fake_call c = {.emit = emit};
	return fake_invoke(s, fn, r, &c, e);
}
static inline enum ks_err fake_pick(struct script *s, int fn, struct rec *r, struct datum *out,
				    struct script_error *e)
{
	struct fake_call c = {.out = out};
	return fake_invoke(s, fn, r, &c, e);
}
static inline enum ks_err fake_fold(struct script *s, int fn, struct datum *acc, struct rec *r,
				    struct datum *out, struct script_error *e)
{
	struct fake_call c = {.acc = acc, .out = out};
	return fake_invoke(s, fn, r, &c, e);
}
static inline enum ks_err fake_process(struct script *s, int fn, struct rec *r,
				       struct process_context *p, struct script_error *e)
{
	struct fake_call c = {.process = p};
	return fake_invoke(s, fn, r, &c, e);
}

static inline struct script *fake_make(void *self, struct ks_why *why)
{
	static const struct script_ops ops = {
		.free = fake_free,
		.begin_record = fake_begin_record,
		.test = fake_test,
		.call = fake_call_fn,
		.map = fake_map,
		.flat_map = fake_flat_map,
		.pick = fake_pick,
		.fold = fake_fold,
		.process = fake_process,
	};
	struct fake_script *s = calloc(1, sizeof *s);

	(void)why;
	s->base.ops = &ops;
	s->fns = self;
	return &s->base;
}

/* --- jobs --- */

static inline struct job *job_make(const char *name)
{
	struct job *j = calloc(1, sizeof *j);

	j->name = xstrdup(name);
	j->where = xstrdup("job.lua:1");
	j->script_path = xstrdup("/nowhere/job.lua");
	j->default_key = SERDE_STRING;
	j->default_value = SERDE_JSON;
	j->threads = 1;
	return j;
}

/* The flow; valid until the next is added. */
static inline struct flow *job_flow(struct job *j, const char *name, const char *topic)
{
	j->flows = xrealloc(j->flows, (j->flow_count + 1) * sizeof *j->flows);
	struct flow *f = &j->flows[j->flow_count++];
	*f = (struct flow){
		.name = xstrdup(name), .where = xstrdup("job.lua:2"), .from_start = true};
	if (topic) {
		f->topics = xcalloc(1, sizeof(char *));
		f->topics[f->topic_count++] = xstrdup(topic);
	}
	return f;
}

static inline void flow_from(struct flow *f, const char *topic)
{
	f->topics = xrealloc(f->topics, (f->topic_count + 1) * sizeof(char *));
	f->topics[f->topic_count++] = xstrdup(topic);
}

/* The step; valid until the next is added to the list. */
static inline struct step *step_add(struct step_list *l, enum step_kind kind)
{
	l->steps = xrealloc(l->steps, (l->count + 1) * sizeof *l->steps);
	struct step *s = &l->steps[l->count];
	*s = (struct step){
		.kind = kind,
		.where = xasprintf("job.lua:%zu", 10 + l->count),
		.name = xasprintf("%s%zu", step_kind_name(kind), l->count + 1),
		.fn = FN_NONE,
		.partition_fn = FN_NONE,
	};
	if (step_has_state(s))
		s->store = xasprintf("flow.%s", step_kind_name(kind));
	l->count++;
	return s;
}
static inline struct step *step_fn(struct step_list *l, enum step_kind kind, int fn)
{
	struct step *s = step_add(l, kind);
	s->fn = fn;
	return s;
}
static inline struct step *step_path(struct step_list *l, enum step_kind kind, const char *path)
{
	struct step *s = step_add(l, kind);
	s->path = xstrdup(path);
	return s;
}
static inline struct step *step_topic(struct step_list *l, const char *topic)
{
	struct step *s = step_add(l, STEP_TO);
	s->topic = xstrdup(topic);
	return s;
}
static inline void step_store(struct step *s, const char *store)
{
	free(s->store);
	s->store = xstrdup(store);
}
/* The branch; valid until the next. */
static inline struct branch *step_branch(struct step *s, int when)
{
	s->branches = xrealloc(s->branches, (s->branch_count + 1) * sizeof *s->branches);
	struct branch *b = &s->branches[s->branch_count++];
	*b = (struct branch){.when = when, .where = xstrdup("job.lua:20")};
	return b;
}
static inline struct topic_decl *job_topic(struct job *j, const char *name, int32_t partitions)
{
	j->topics = xrealloc(j->topics, (j->topic_count + 1) * sizeof *j->topics);
	struct topic_decl *d = &j->topics[j->topic_count++];
	*d = (struct topic_decl){
		.name = xstrdup(name), .where = xstrdup("job.lua:3"), .partitions = partitions};
	return d;
}
static inline void policy_dead_letter(struct error_policy *p, const char *topic)
{
	*p = (struct error_policy){
		.is_set = true, .action = ERROR_DEAD_LETTER, .dead_letter_topic = xstrdup(topic)};
}

/* --- the rig --- */

struct rig {
	struct broker *b;
	char *dir; /* NULL: in memory */
	struct job *job;
	struct engine *e;
	const fake_fn *fns;
};

static inline void rig_open(struct rig *r)
{
	struct broker_options options = {
		.dir = r->dir,
		.store = {.create = true},
		.auto_create_topics = true,
		.retention_check_ms = 3600000,
	};
	assert_ok(broker_open(&options, &r->b, why));
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	rig_open(r);
	r->job = job_make("job");
	*state = r;
	return 0;
}

static inline int rig_setup_rocks(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	r->dir = scratch_make();
	rig_open(r);
	r->job = job_make("job");
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	engine_free(r->e);
	broker_close(r->b);
	job_free(r->job);
	if (r->dir)
		scratch_remove(r->dir);
	free(r);
	return 0;
}

#define TEST(f)                                                                                    \
	{                                                                                          \
#f, f, rig_setup, rig_teardown, NULL                                               \
	}
#define ROCKS(f)                                                                                   \
	{                                                                                          \
#f " (rocksdb)", f, rig_setup_rocks, rig_teardown, NULL                            \
	}

static inline void rig_topic(struct rig *r, const char *name, int32_t partitions)
{
	struct topic_spec spec = {.name = name, .partitions = partitions};
	assert_ok(broker_topic_create(r->b, &spec, why));
}

static inline struct partition *rig_partition(struct rig *r, const char *topic, int32_t p)
{
	struct topic *t = broker_topic_find(r->b, topic);
	if (!t)
		fail_msg("there is no topic %s", topic);
	return topic_partition(t, p);
}

static inline struct slice text_or_null(const char *s)
{
	return s ? slice_str(s) : SLICE_NULL;
}

/* Appends one record; key NULL goes to partition 0, others by murmur2. */
static inline void rig_send_at(struct rig *r, const char *topic, const char *key, const char *value,
			       int64_t timestamp)
{
	struct batch_writer w;
	struct buf out = {0};
	struct topic *t = broker_topic_find(r->b, topic);
	int32_t n = t ? topic_partition_count(t) : 1; /* rig_partition tells when there is none */
	int32_t p = key ? murmur2_partition(key, strlen(key), n) : 0;

	batch_writer_begin(&w, &out);
	batch_writer_append(&w, timestamp, text_or_null(key), text_or_null(value), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, NULL);
	assert_ok(broker_append_wait(r->b, rig_partition(r, topic, p), frame_take_buf(&out),
				     ACKS_ALL, NULL, why));
}
static inline void rig_send(struct rig *r, const char *topic, const char *key, const char *value)
{
	rig_send_at(r, topic, key, value, 1000);
}

static inline enum ks_err rig_start_with(struct rig *r, bool once, int threads, struct ks_why *why)
{
	struct engine_options options = {
		.broker = r->b,
		.job = r->job,
		.scripts = {(void *)(uintptr_t)r->fns, r->fns ? fake_make : NULL},
		.owner = "a test",
		.once = once,
		.is_manual = threads == 0,
		.threads = threads,
	};
	return engine_start(&options, &r->e, why);
}

/* Manual mode: starts if need be, and processes everything there is. */
static inline void rig_pump(struct rig *r)
{
	if (!r->e)
		assert_ok(rig_start_with(r, false, 0, why));
	assert_ok(engine_pump(r->e, why));
}

static inline void rig_stop(struct rig *r)
{
	engine_free(r->e);
	r->e = NULL;
}

static inline void rig_reopen(struct rig *r)
{
	rig_stop(r);
	broker_close(r->b);
	rig_open(r);
}

/* Runs with threads until everything is through. */
static inline enum ks_err rig_run_once(struct rig *r, int threads, struct ks_why *why)
{
	enum ks_err err = rig_start_with(r, true, threads, why);

	if (!err)
		err = engine_wait(r->e, why);
	rig_stop(r);
	return err;
}

static inline void append_text(struct buf *out, struct slice s, bool is_count)
{
	if (!s.data)
		buf_append_str(out, "-");
	else if (is_count && s.len == 8)
		buf_printf(out, "%lld", (long long)get_u64be(s.data));
	else
		buf_append(out, s.data, s.len);
}

/* All records of a partition as "key=value key=value"; null is "-". The text belongs to the caller. */
static inline char *rig_partition_text(struct rig *r, const char *topic, int32_t p)
{
	struct partition *partition = rig_partition(r, topic, p);
	struct reader *reader = reader_new(partition);
	struct buf text = {0}, scratch = {0};
	int64_t offset = partition_log_start_offset(partition);

	while (offset < partition_high_watermark(partition)) {
		struct chunk c = {0};
		assert_ok(reader_read(reader, offset, 1 << 20, &c, why));
		for (size_t at = 0; at < c.bytes.len;) {
			struct batch b;
			struct record_iter it;
			struct record rec;
			assert_int_equal(
				batch_verify(slice_of(c.bytes.data + at, c.bytes.len - at), &b), 0);
			assert_int_equal(record_iter_init(&it, &b, 1 << 26, &scratch), 0);
			while (record_iter_next(&it, &rec) > 0) {
				if (rec.offset < offset)
					continue;
				if (text.len)
					buf_append_str(&text, " ");
				append_text(&text, rec.key, false);
				buf_append_str(&text, "=");
				append_text(&text, rec.value, false);
			}
			offset = batch_last_offset(&b) + 1;
			at += b.bytes.len;
		}
		chunk_fini(&c);
	}
	reader_free(reader);
	buf_fini(&scratch);
	char *copy = xstrdup(buf_cstr(&text));
	buf_fini(&text);
	return copy;
}

#define assert_topic(r, topic, p, expected)                                                        \
	do {                                                                                       \
		char *text_ = rig_partition_text(r, topic, p);                                     \
		assert_string_equal(text_, expected);                                              \
		free(text_);                                                                       \
	} while (0)

static inline int64_t rig_offset(struct rig *r, const char *topic, int32_t p)
{
	int64_t offset = -1;
	broker_group_offset(r->b, r->job->name, rig_partition(r, topic, p), &offset);
	return offset;
}

#endif

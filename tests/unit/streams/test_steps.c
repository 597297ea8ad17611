/* Every step through a job of its own, functions in C. */
#include "tests/unit/streams/rig.h"

static enum ks_err is_long(struct fake_call *c)
{
	*c->truthy = c->r->value.bytes.len > 3;
	return ERR_NONE;
}

static enum ks_err to_length(struct fake_call *c)
{
	*c->value = (struct datum){.kind = DATUM_I64, .i64 = (int64_t)c->r->value.bytes.len};
	return ERR_NONE;
}

static enum ks_err key_from_value(struct fake_call *c)
{
	*c->value = c->r->value;
	*c->key = (struct datum){.kind = DATUM_STRING, .bytes = c->r->value.bytes};
	*c->has_key = true;
	return ERR_NONE;
}

static enum ks_err twice(struct fake_call *c)
{
	struct datum key = {.kind = DATUM_STRING, .bytes = slice_str("other")};
	enum ks_err err = c->emit->emit(c->emit->self, &c->r->value, NULL);
	return err ? err : c->emit->emit(c->emit->self, &c->r->value, &key);
}

static enum ks_err pick_value(struct fake_call *c)
{
	*c->out = (struct datum){.kind = DATUM_STRING, .bytes = c->r->value.bytes};
	return ERR_NONE;
}

static enum ks_err pick_two(struct fake_call *c)
{
	*c->out = (struct datum){.kind = DATUM_I64, .i64 = 2};
	return ERR_NONE;
}

static enum ks_err fold_lengths(struct fake_call *c)
{
	int64_t acc = c->acc->kind == DATUM_I64 ? c->acc->i64 : (int64_t)c->acc->bytes.len;
	*c->out = (struct datum){.kind = DATUM_I64, .i64 = acc + (int64_t)c->r->value.bytes.len};
	return ERR_NONE;
}

static enum ks_err fold_to_nothing(struct fake_call *c)
{
	*c->out = (struct datum){.kind = DATUM_NULL};
	return ERR_NONE;
}

static enum ks_err last_and_now(struct fake_call *c)
{
	struct process_context *p = c->process;
	struct datum was;
	struct ks_why why;
	bool found;
	enum ks_err err = p->get(p->self, &c->r->key, &was, &found, &why);

	if (!err)
		err = p->put(p->self, &c->r->key, &c->r->value, &why);
	if (!err && found)
		err = p->forward(p->self, &was, NULL, &why);
	return err;
}

static const fake_fn fns[] = {is_long,      to_length,    key_from_value,  twice,   pick_value,
			      fold_lengths, last_and_now, fold_to_nothing, pick_two};
enum {
	IS_LONG,
	TO_LENGTH,
	KEY_FROM_VALUE,
	TWICE,
	PICK_VALUE,
	FOLD_LENGTHS,
	LAST_AND_NOW,
	FOLD_TO_NOTHING,
	PICK_TWO
};

/* A flow "f" from "in" (one partition); the rig knows the functions above. */
static struct step_list *flow_in(struct rig *r)
{
	r->fns = fns;
	rig_topic(r, "in", 1);
	return &job_flow(r->job, "f", "in")->steps;
}

static void a_record_goes_through_filter_and_map_into_a_topic(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_FILTER, IS_LONG);
	step_fn(steps, STEP_MAP, TO_LENGTH);
	step_topic(steps, "out");
	rig_send(r, "in", "a", "12");
	rig_send(r, "in", "b", "12345");
	rig_pump(r);
	assert_topic(r, "out", 0, "b=5");
	assert_int_equal(rig_offset(r, "in", 0), 2);
}

static void filter_and_reject_by_path(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_path(steps, STEP_FILTER, "user.active");
	step_path(steps, STEP_REJECT, "test");
	step_topic(steps, "out");
	rig_send(r, "in", "a", "{\"user\":{\"active\":true}}");
	rig_send(r, "in", "b", "{\"user\":{\"active\":false}}");
	rig_send(r, "in", "c", "{\"user\":{\"active\":null}}");
	rig_send(r, "in", "d", "{\"user\":{\"active\":0}}");
	rig_send(r, "in", "e", "{}");
	rig_send(r, "in", "f", "{\"user\":{\"active\":1},\"test\":1}");
	rig_pump(r);
	assert_topic(r, "out", 0, "a={\"user\":{\"active\":true}} d={\"user\":{\"active\":0}}");
}

static void a_map_may_give_a_new_key(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_MAP, KEY_FROM_VALUE);
	step_topic(steps, "out");
	rig_send(r, "in", "a", "7");
	rig_pump(r);
	assert_topic(r, "out", 0, "7=7");
}

static void a_flat_map_makes_many_of_one(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_FLAT_MAP, TWICE);
	step_topic(steps, "out");
	rig_send(r, "in", "a", "1");
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 other=1");
}

static void explode_and_rekey_read_json_without_the_script(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_path(steps, STEP_EXPLODE, "items");
	step_path(steps, STEP_REKEY, "sku");
	step_topic(steps, "out");
	rig_send(r, "in", "o", "{\"items\":[{\"sku\":\"x\"}, {\"sku\": 5 },{}]}");
	rig_send(r, "in", "p", "{\"items\":null}");
	rig_send(r, "in", "q", "{}");
	rig_pump(r);
	assert_topic(r, "out", 0, "x={\"sku\":\"x\"} 5={\"sku\": 5 } -={}");
}

static void a_split_takes_the_first_branch_that_fits(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct step *s = step_add(steps, STEP_SPLIT);

	step_topic(&step_branch(s, IS_LONG)->steps, "long");
	struct branch *b = step_branch(s, FN_NONE);
	b->when_path = xstrdup("k");
	b->when_equals = xstrdup("1");
	step_topic(&b->steps, "one");
	step_topic(&step_branch(s, FN_NONE)->steps, "rest");
	rig_send(r, "in", "a", "{\"k\":1}");
	rig_send(r, "in", "b", "{}");
	rig_send(r, "in", "c", "1.5");
	rig_pump(r);
	assert_topic(r, "long", 0, "a={\"k\":1}");
	assert_topic(r, "rest", 0, "b={} c=1.5");
}

static void a_split_compares_a_path_with_a_value(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct step *s = step_add(steps, STEP_SPLIT);
	struct branch *b = step_branch(s, FN_NONE);

	b->when_path = xstrdup("k");
	b->when_equals = xstrdup("\"x\"");
	step_topic(&b->steps, "x");
	step_topic(&step_branch(s, FN_NONE)->steps, "rest");
	rig_send(r, "in", "a", "{\"k\":\"x\"}");
	rig_send(r, "in", "b", "{\"k\":\"y\"}");
	rig_pump(r);
	assert_topic(r, "x", 0, "a={\"k\":\"x\"}");
	assert_topic(r, "rest", 0, "b={\"k\":\"y\"}");
}

static void to_writes_and_passes_on(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_topic(steps, "all");
	step_fn(steps, STEP_FILTER, IS_LONG);
	step_topic(steps, "long");
	rig_send(r, "in", "a", "1");
	rig_send(r, "in", "b", "1000");
	rig_pump(r);
	assert_topic(r, "all", 0, "a=1 b=1000");
	assert_topic(r, "long", 0, "b=1000");
}

static void a_function_may_choose_topic_and_partition(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_TO, PICK_VALUE);
	step_topic(steps, "wide")->partition_fn = PICK_TWO;
	rig_topic(r, "wide", 4);
	rig_send(r, "in", "a", "first");
	rig_send(r, "in", "b", "second");
	rig_send(r, "in", "c", "first");
	rig_pump(r);
	assert_topic(r, "first", 0, "a=first c=first");
	assert_topic(r, "second", 0, "b=second");
	assert_topic(r, "wide", 2, "a=first b=second c=first");
}

static void records_without_a_key_keep_their_partition(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "four", 4);
	rig_topic(r, "out", 2);
	step_topic(&job_flow(r->job, "f", "four")->steps, "out");
	for (int p = 0; p < 4; p++) {
		struct batch_writer w;
		struct buf b = {0};
		char value[2] = {(char)('0' + p), 0};
		batch_writer_begin(&w, &b);
		batch_writer_append(&w, 1, SLICE_NULL, slice_str(value), SLICE_NULL, 0);
		batch_writer_finish(&w, CODEC_NONE, NULL);
		assert_ok(broker_append_wait(r->b, rig_partition(r, "four", p), frame_take_buf(&b),
					     ACKS_ALL, NULL, why));
	}
	rig_pump(r);
	assert_topic(r, "out", 0, "-=0 -=2");
	assert_topic(r, "out", 1, "-=1 -=3");
}

static void a_count_sends_every_new_value_and_survives(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_add(steps, STEP_COUNT);
	step_topic(steps, "out");
	rig_send(r, "in", "a", "1");
	rig_send(r, "in", "b", "1");
	rig_send(r, "in", "a", "1");
	rig_pump(r);
	rig_stop(r);
	rig_send(r, "in", "a", "1");
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 b=1 a=2 a=3");
	if (!r->dir)
		return;
	rig_reopen(r);
	rig_send(r, "in", "b", "1");
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 b=1 a=2 a=3 b=2");
}

static void sum_min_and_max_read_a_path(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_path(steps, STEP_SUM, "n");
	step_topic(steps, "sum");
	steps = &job_flow(r->job, "g", "in")->steps;
	step_path(steps, STEP_MIN, "n");
	step_topic(steps, "min");
	steps = &job_flow(r->job, "h", "in")->steps;
	step_path(steps, STEP_MAX, "n");
	step_topic(steps, "max");
	rig_send(r, "in", "a", "{\"n\":3}");
	rig_send(r, "in", "a", "{\"n\":1}");
	rig_send(r, "in", "a", "{}");
	rig_send(r, "in", "a", "{\"n\":2.5}");
	rig_pump(r);
	assert_topic(r, "sum", 0, "a=3 a=4 a=6.5");
	assert_topic(r, "min", 0, "a=3 a=1 a=1");
	assert_topic(r, "max", 0, "a=3 a=3 a=3");
}

static void reduce_begins_with_the_first_value_and_aggregate_with_init(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_REDUCE, FOLD_LENGTHS);
	step_topic(steps, "reduced");
	steps = &job_flow(r->job, "g", "in")->steps;
	struct step *s = step_fn(steps, STEP_AGGREGATE, FOLD_LENGTHS);
	s->init = xstrdup("100");
	step_topic(steps, "aggregated");
	rig_send(r, "in", "a", "\"x\"");
	rig_send(r, "in", "a", "1234");
	rig_send(r, "in", "a", "5");
	rig_pump(r);
	assert_topic(r, "reduced", 0, "a=\"x\" a=7 a=8");
	assert_topic(r, "aggregated", 0, "a=103 a=107 a=108");
}

static void an_aggregate_of_nothing_deletes_the_key(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_REDUCE, FOLD_TO_NOTHING);
	step_topic(steps, "out");
	rig_send(r, "in", "a", "1");
	rig_send(r, "in", "a", "2");
	rig_send(r, "in", "a", "3");
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 a=- a=3");
}

static void dedup_drops_ids_seen_within_the_time(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct step *s = step_path(steps, STEP_DEDUP, "id");

	s->within_ms = 100;
	step_topic(steps, "out");
	rig_send_at(r, "in", "a", "{\"id\":1}", 1000);
	rig_send_at(r, "in", "b", "{\"id\":1}", 1050);
	rig_send_at(r, "in", "c", "{\"id\":\"1\"}", 1060);
	rig_send_at(r, "in", "d", "{\"id\":1}", 1101);
	rig_pump(r);
	rig_stop(r);
	rig_send_at(r, "in", "e", "{\"id\":\"1\"}", 1102);
	rig_pump(r);
	assert_topic(r, "out", 0, "a={\"id\":1} c={\"id\":\"1\"} d={\"id\":1}");
}

/* Two runs with a stop in between decide as one run without. */
static void stream_time_outlives_a_stop(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_add(steps, STEP_DEDUP)->within_ms = 100;
	step_topic(steps, "out");
	rig_send_at(r, "in", "x", "1", 1000);
	rig_send_at(r, "in", "y", "2", 1050);
	rig_send_at(r, "in", "y", "3", 1150); /* a duplicate, but it makes the task's time 1150 */
	rig_pump(r);
	rig_reopen(r);
	rig_send_at(r, "in", "x", "4", 1060);
	rig_pump(r);
	assert_topic(r, "out", 0, "x=1 y=2 x=4");
	rig_reopen(r);
	rig_send_at(r, "in", "x", "5", 1070);
	rig_pump(r);
	assert_topic(r, "out", 0, "x=1 y=2 x=4");
}

/* The other flow takes the records' own timestamps, which are far ahead of the times in their values. */
static void flows_of_one_topic_have_their_own_stream_times(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_topic(steps, "copy");
	struct flow *f = job_flow(r->job, "g", "in");
	f->time_path = xstrdup("at");
	step_add(&f->steps, STEP_DEDUP)->within_ms = 100;
	step_topic(&f->steps, "out");
	rig_send_at(r, "in", "x", "{\"at\":10}", 1000000);
	rig_send_at(r, "in", "x", "{\"at\":20}", 2000000);
	rig_send_at(r, "in", "x", "{\"at\":111}", 3000000);
	rig_pump(r);
	assert_topic(r, "out", 0, "x={\"at\":10} x={\"at\":111}");
}

/* A new version of the job counts where the old one reduced. */
static void a_store_of_another_step_is_not_taken_for_a_number(void **state)
{
	static const enum step_kind kinds[] = {STEP_COUNT, STEP_SUM, STEP_MIN};
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct engine_progress p;

	step_store(step_fn(steps, STEP_REDUCE, LAST_AND_NOW), "store");
	step_topic(steps, "out");
	r->job->on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	rig_send(r, "in", "a", "{\"n\":1}");
	rig_pump(r);
	for (size_t i = 0; i < 3; i++) {
		rig_stop(r);
		steps->steps[0].kind = kinds[i];
		steps->steps[0].fn = FN_NONE;
		rig_send(r, "in", "a", "5");
		rig_pump(r);
		assert_topic(r, "out", 0, "a={\"n\":1}");
		engine_progress(r->e, &p);
		assert_int_equal(p.skipped, 1);
	}
}

static struct process_context *kept; /* of the process step that runs */
static int puts_each;

static enum ks_err keep_and_forward(struct fake_call *c)
{
	struct ks_why why;
	kept = c->process;
	return c->process->forward(c->process->self, &c->r->value, NULL, &why);
}

/* Puts so much through the ctx of the step before it that the cache is swept meanwhile. */
static enum ks_err fold_and_put(struct fake_call *c)
{
	static int64_t number;
	static char text[1000];
	struct ks_why why;

	for (int i = 0; i < puts_each; i++) {
		struct datum key = {.kind = DATUM_I64, .i64 = number++};
		struct datum value = {.kind = DATUM_STRING, .bytes = slice_of(text, sizeof text)};
		assert_int_equal(kept->put(kept->self, &key, &value, &why), 0);
	}
	*c->out = c->r->value;
	return ERR_NONE;
}

static void a_function_may_use_a_ctx_that_it_kept(void **state)
{
	static const fake_fn keeping[] = {keep_and_forward, fold_and_put};
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	char text[8];

	r->fns = keeping;
	r->job->cache_bytes = 300000;
	step_store(step_fn(steps, STEP_PROCESS, 0), "first");
	step_store(step_fn(steps, STEP_REDUCE, 1), "second");
	puts_each = 1;
	for (int i = 0; i < 12000; i++) {
		if (i == 11900)
			puts_each = 1500;
		snprintf(text, sizeof text, "k%d", i % 6000);
		rig_send(r, "in", text, "\"the value of this key is of some length\"");
		if (i % 100 == 99 || i >= 11900)
			rig_pump(r);
	}
}

static void process_has_a_store_and_forwards(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_PROCESS, LAST_AND_NOW);
	step_topic(steps, "out");
	rig_send(r, "in", "a", "{\"n\":1}");
	rig_send(r, "in", "a", "2");
	rig_send(r, "in", "b", "3");
	rig_send(r, "in", "a", "4");
	rig_pump(r);
	assert_topic(r, "out", 0, "a={\"n\":1} a=2");
}

static void a_new_key_brings_equal_keys_together_through_a_repartition_topic(void **state)
{
	struct rig *r = *state;

	rig_topic(r, "in", 4);
	rig_topic(r, "out", 1);
	struct step_list *steps = &job_flow(r->job, "f", "in")->steps;
	step_path(steps, STEP_GROUP, "user");
	step_add(steps, STEP_COUNT);
	step_topic(steps, "out");
	for (int i = 0; i < 20; i++) {
		char key[16];
		snprintf(key, sizeof key, "k%d", i);
		rig_send(r, "in", key, "{\"user\":\"u\"}");
	}
	rig_pump(r);
	char *text = rig_partition_text(r, "out", 0);
	assert_non_null(strstr(text, "u=20"));
	free(text);
	struct topic *t = broker_topic_find(r->b, "job-f-repartition");
	assert_non_null(t);
	assert_true(topic_is_internal(t));
	assert_int_equal(topic_partition_count(t), 4);
}

/* Trimming goes by bytes, too: a few records may be all that there is room for. */
static void a_repartition_topic_of_large_records_is_trimmed(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct buf value = {0};

	buf_append_str(&value, "{\"user\":\"u\",\"text\":\"");
	for (int i = 0; i < 50000; i++)
		buf_append_str(&value, "0123456789");
	buf_append_str(&value, "\"}");
	step_path(steps, STEP_GROUP, "user");
	step_add(steps, STEP_COUNT);
	for (int i = 0; i < 200; i++) {
		rig_send(r, "in", "k", buf_cstr(&value));
		rig_pump(r);
	}
	buf_fini(&value);
	struct partition *p = rig_partition(r, "job-f-repartition", 0);
	assert_true(partition_log_start_offset(p) > 120);
	assert_true(partition_size_bytes(p) < 70 << 20);
}

static void a_branch_may_be_cut_as_well(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_path(steps, STEP_REKEY, "user");
	struct step *s = step_add(steps, STEP_SPLIT);
	struct step_list *first = &step_branch(s, FN_NONE)->steps;
	step_add(first, STEP_COUNT);
	step_topic(first, "out");
	rig_send(r, "in", "x", "{\"user\":\"u\"}");
	rig_send(r, "in", "y", "{\"user\":\"u\"}");
	rig_pump(r);
	assert_topic(r, "out", 0, "u=1 u=2");
	assert_topic(r, "job-f-repartition", 0, "u={\"user\":\"u\"} u={\"user\":\"u\"}");
}

static void inputs_are_merged_in_the_order_of_their_timestamps(void **state)
{
	struct rig *r = *state;
	rig_topic(r, "one", 1);
	rig_topic(r, "two", 1);
	struct flow *f = job_flow(r->job, "f", "one");

	flow_from(f, "two");
	step_topic(&f->steps, "out");
	rig_send_at(r, "one", "a", "1", 10);
	rig_send_at(r, "one", "b", "1", 40);
	rig_send_at(r, "two", "c", "1", 20);
	rig_send_at(r, "two", "d", "1", 30);
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 c=1 d=1 b=1");
}

static void a_pattern_takes_topics_that_appear_later(void **state)
{
	struct rig *r = *state;
	rig_topic(r, "logs.a", 1);
	struct flow *f = job_flow(r->job, "f", NULL);

	f->pattern = xstrdup("^logs\\.");
	step_topic(&f->steps, "out");
	rig_send(r, "logs.a", "a", "1");
	rig_pump(r);
	rig_topic(r, "logs.b", 2);
	rig_send(r, "logs.b", "b", "2");
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 b=2");
}

static void event_time_comes_from_the_value(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	r->job->flows[0].time_path = xstrdup("at");
	step_path(steps, STEP_DEDUP, "id")->within_ms = 1000;
	step_topic(steps, "out");
	rig_send(r, "in", "a", "{\"id\":1,\"at\":\"2024-05-01T12:00:00Z\"}");
	rig_send(r, "in", "b", "{\"id\":1,\"at\":1714564800500}");
	rig_send(r, "in", "c", "{\"id\":1,\"at\":\"2024-05-01T14:00:02.5+02:00\"}");
	rig_pump(r);
	char *text = rig_partition_text(r, "out", 0);
	assert_non_null(strstr(text, "a={"));
	assert_null(strstr(text, "b={"));
	assert_non_null(strstr(text, "c={"));
	free(text);
}

static void collect(void *cookie, const struct datum *key, const struct datum *value)
{
	buf_printf(cookie, "%.*s=%lld ", (int)key->bytes.len, (const char *)key->bytes.data,
		   (long long)value->i64);
}

static void a_store_can_be_scanned(void **state)
{
	struct rig *r = *state;
	struct buf text = {0};

	rig_topic(r, "in", 3);
	step_store(step_add(&job_flow(r->job, "f", "in")->steps, STEP_COUNT), "seen");
	for (int i = 0; i < 6; i++) {
		char key[2] = {(char)('f' - i), 0};
		rig_send(r, "in", key, "1");
	}
	rig_send(r, "in", "c", "1");
	rig_pump(r);
	assert_ok(engine_state_scan(r->e, "seen", collect, &text, why));
	assert_string_equal(buf_cstr(&text), "a=1 b=1 c=2 d=1 e=1 f=1 ");
	buf_fini(&text);
}

static void whole_batches_go_through_untouched(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct batch_writer w;
	struct buf b = {0}, scratch = {0};
	char value[200];

	step_topic(steps, "out");
	memset(value, 'v', sizeof value);
	batch_writer_begin(&w, &b);
	for (int i = 0; i < 100; i++)
		batch_writer_append(&w, 5, slice_str("k"), slice_of(value, sizeof value),
				    SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_LZ4, &scratch);
	size_t len = b.len;
	assert_ok(broker_append_wait(r->b, rig_partition(r, "in", 0), frame_take_buf(&b), ACKS_ALL,
				     NULL, why));
	buf_fini(&scratch);
	rig_pump(r);
	assert_int_equal(partition_high_watermark(rig_partition(r, "out", 0)), 100);
	assert_int_equal(partition_size_bytes(rig_partition(r, "out", 0)), len);
}

static void a_batch_for_several_partitions_is_written_anew(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct batch_writer w;
	struct buf b = {0}, scratch = {0};

	rig_topic(r, "out", 2);
	step_topic(steps, "out");
	batch_writer_begin(&w, &b);
	for (int i = 0; i < 4; i++) {
		char key[2] = {(char)('a' + i), 0};
		batch_writer_append(&w, 5 + i, slice_str(key), slice_str("\"0000000000000000\""),
				    SLICE_NULL, 0);
	}
	batch_writer_finish(&w, CODEC_ZSTD, &scratch);
	buf_fini(&scratch);
	assert_ok(broker_append_wait(r->b, rig_partition(r, "in", 0), frame_take_buf(&b), ACKS_ALL,
				     NULL, why));
	rig_pump(r);
	for (int i = 0; i < 4; i++) {
		char key[2] = {(char)('a' + i), 0};
		char *want = xasprintf("%s=\"0000000000000000\"", key);
		char *text = rig_partition_text(r, "out", murmur2_partition(key, 1, 2));
		assert_non_null(strstr(text, want));
		free(text);
		free(want);
	}
}

static void a_pattern_does_not_take_what_the_job_writes(void **state)
{
	struct rig *r = *state;
	rig_topic(r, "logs.a", 1);
	struct flow *f = job_flow(r->job, "f", NULL);

	f->pattern = xstrdup("^logs\\.");
	step_topic(&f->steps, "logs.all");
	rig_send(r, "logs.a", "a", "1");
	rig_pump(r);
	rig_pump(r);
	assert_topic(r, "logs.all", 0, "a=1");
}

static void a_flow_from_the_end_remembers_where_that_was(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	r->job->flows[0].from_start = false;
	step_topic(steps, "out");
	rig_send(r, "in", "a", "1");
	rig_pump(r);
	rig_stop(r);
	rig_send(r, "in", "b", "2"); /* while the job is down */
	rig_pump(r);
	assert_topic(r, "out", 0, "b=2");
}

static void records_deleted_before_they_were_read_are_passed_over(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	int64_t start;

	step_topic(steps, "out");
	rig_pump(r);
	for (int i = 0; i < 3; i++)
		rig_send(r, "in", "a", "1");
	assert_ok(broker_trim(r->b, rig_partition(r, "in", 0), 2, &start, why));
	rig_send(r, "in", "b", "2");
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 b=2");
}

static void headers_and_timestamps_travel_along(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct batch_writer w;
	struct buf b = {0}, headers = {0}, scratch = {0};
	struct chunk c;
	struct batch batch;
	struct record_iter it;
	struct record rec;
	struct record_header h;

	step_fn(steps, STEP_MAP, TO_LENGTH);
	step_topic(steps, "out");
	record_header_append(&headers, slice_str("trace"), slice_str("42"));
	batch_writer_begin(&w, &b);
	batch_writer_append(&w, 777, slice_str("k"), slice_str("1"), buf_slice(&headers), 1);
	batch_writer_finish(&w, CODEC_NONE, NULL);
	buf_fini(&headers);
	assert_ok(broker_append_wait(r->b, rig_partition(r, "in", 0), frame_take_buf(&b), ACKS_ALL,
				     NULL, why));
	rig_pump(r);
	struct reader *reader = reader_new(rig_partition(r, "out", 0));
	assert_ok(reader_read(reader, 0, 1000, &c, why));
	assert_int_equal(batch_verify(c.bytes, &batch), 0);
	assert_int_equal(record_iter_init(&it, &batch, 1000, &scratch), 0);
	assert_int_equal(record_iter_next(&it, &rec), 1);
	assert_int_equal(rec.timestamp, 777);
	assert_int_equal(rec.header_count, 1);
	assert_int_equal(record_header_next(&rec.headers, &h), 1);
	assert_slice(h.value, "42");
	chunk_fini(&c);
	reader_free(reader);
	buf_fini(&scratch);
}

static void two_flows_of_one_topic_advance_together(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_topic(steps, "one");
	steps = &job_flow(r->job, "g", "in")->steps;
	step_fn(steps, STEP_FILTER, IS_LONG);
	step_topic(steps, "two");
	rig_send(r, "in", "a", "1");
	rig_send(r, "in", "b", "1234");
	rig_pump(r);
	assert_topic(r, "one", 0, "a=1 b=1234");
	assert_topic(r, "two", 0, "b=1234");
	assert_int_equal(rig_offset(r, "in", 0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_goes_through_filter_and_map_into_a_topic),
		ROCKS(a_record_goes_through_filter_and_map_into_a_topic),
		TEST(filter_and_reject_by_path),
		TEST(a_map_may_give_a_new_key),
		TEST(a_flat_map_makes_many_of_one),
		TEST(explode_and_rekey_read_json_without_the_script),
		TEST(a_split_takes_the_first_branch_that_fits),
		TEST(a_split_compares_a_path_with_a_value),
		TEST(to_writes_and_passes_on),
		TEST(a_function_may_choose_topic_and_partition),
		TEST(records_without_a_key_keep_their_partition),
		TEST(a_count_sends_every_new_value_and_survives),
		ROCKS(a_count_sends_every_new_value_and_survives),
		TEST(sum_min_and_max_read_a_path),
		TEST(reduce_begins_with_the_first_value_and_aggregate_with_init),
		TEST(an_aggregate_of_nothing_deletes_the_key),
		TEST(dedup_drops_ids_seen_within_the_time),
		ROCKS(dedup_drops_ids_seen_within_the_time),
		ROCKS(stream_time_outlives_a_stop),
		TEST(a_function_may_use_a_ctx_that_it_kept),
		TEST(a_store_of_another_step_is_not_taken_for_a_number),
		TEST(flows_of_one_topic_have_their_own_stream_times),
		TEST(process_has_a_store_and_forwards),
		TEST(a_new_key_brings_equal_keys_together_through_a_repartition_topic),
		TEST(a_repartition_topic_of_large_records_is_trimmed),
		TEST(a_branch_may_be_cut_as_well),
		TEST(inputs_are_merged_in_the_order_of_their_timestamps),
		TEST(a_pattern_takes_topics_that_appear_later),
		TEST(event_time_comes_from_the_value),
		TEST(a_store_can_be_scanned),
		TEST(whole_batches_go_through_untouched),
		TEST(a_batch_for_several_partitions_is_written_anew),
		TEST(a_pattern_does_not_take_what_the_job_writes),
		TEST(a_flow_from_the_end_remembers_where_that_was),
		TEST(records_deleted_before_they_were_read_are_passed_over),
		TEST(headers_and_timestamps_travel_along),
		TEST(two_flows_of_one_topic_advance_together),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

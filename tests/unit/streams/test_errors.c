/* What becomes of a record that fails, and that it leaves nothing behind. */
#include <sched.h>
#include <stdatomic.h>

#include "tests/unit/streams/rig.h"

static int calls; /* of maybe_raise */
static int raise_until;

static bool is_bad(const struct fake_call *c)
{
	return slice_equal(c->r->value.bytes, slice_str("666"));
}

static enum ks_err raise_on_bad(struct fake_call *c)
{
	if (is_bad(c))
		return fake_raise(c, "cents must be positive");
	*c->value = c->r->value;
	return ERR_NONE;
}

static enum ks_err raise_at_first(struct fake_call *c)
{
	if (is_bad(c) && calls++ < raise_until)
		return fake_raise(c, "not yet");
	*c->value = c->r->value;
	return ERR_NONE;
}

/* Sends the record twice and puts it into its store, then raises. */
static enum ks_err store_forward_raise(struct fake_call *c)
{
	struct process_context *p = c->process;
	struct datum key = {.kind = DATUM_STRING, .bytes = slice_str("shared")};
	struct ks_why why;

	assert_int_equal(p->put(p->self, &key, &c->r->value, &why), 0);
	assert_int_equal(p->forward(p->self, &c->r->value, NULL, &why), 0);
	return is_bad(c) ? fake_raise(c, "too late") : ERR_NONE;
}

/* A script may catch what comes from below; the record has failed all the same. */
static enum ks_err swallow(struct fake_call *c)
{
	c->emit->emit(c->emit->self, &c->r->value, NULL);
	return ERR_NONE;
}

static enum ks_err give_another_key(struct fake_call *c)
{
	*c->value = c->r->value;
	*c->key = (struct datum){.kind = DATUM_STRING, .bytes = slice_str("other")};
	*c->has_key = true;
	return ERR_NONE;
}

static const fake_fn fns[] = {raise_on_bad, raise_at_first, store_forward_raise, swallow,
			      give_another_key};
enum { RAISE_ON_BAD, RAISE_AT_FIRST, STORE_FORWARD_RAISE, SWALLOW, GIVE_ANOTHER_KEY };

static struct step_list *flow_in(struct rig *r)
{
	r->fns = fns;
	rig_topic(r, "in", 1);
	return &job_flow(r->job, "f", "in")->steps;
}

static void send_three(struct rig *r)
{
	rig_send(r, "in", "a", "1");
	rig_send(r, "in", "p-77", "666");
	rig_send(r, "in", "c", "3");
}

static void a_failing_record_stops_the_job_and_what_came_before_stands(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct ks_why why = {""};

	step_fn(steps, STEP_MAP, RAISE_ON_BAD);
	step_topic(steps, "out");
	send_three(r);
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
	assert_string_equal(why.text, "job.lua:7: cents must be positive   in 'checked'\n"
				      "  at in[0]@1  key=p-77  value=666\n"
				      "  in flow f, step map (job.lua:10)\n"
				      "stack traceback: job.lua:7");
	assert_topic(r, "out", 0, "a=1");
	assert_int_equal(rig_offset(r, "in", 0), 1);
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT); /* and there it stays */
	assert_topic(r, "out", 0, "a=1");
}

static void a_failing_record_can_be_skipped(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct engine_progress p;

	step_fn(steps, STEP_MAP, RAISE_ON_BAD);
	step_topic(steps, "out");
	r->job->on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	send_three(r);
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 c=3");
	engine_progress(r->e, &p);
	assert_int_equal(p.skipped, 1);
	assert_int_equal(p.records_in, 3);
	assert_int_equal(p.records_out, 2);
}

static void assert_header(struct slice *headers, const char *name, const char *value)
{
	struct record_header h;

	assert_int_equal(record_header_next(headers, &h), 1);
	assert_memory_equal(h.name.data, name, strlen(name));
	char *text = xasprintf("%.*s", (int)h.value.len, (const char *)h.value.data);
	assert_string_equal(text, value);
	free(text);
}

static void a_dead_letter_has_the_bytes_and_the_reasons(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_MAP, RAISE_ON_BAD);
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	send_three(r);
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 c=3");
	assert_topic(r, "dead", 0, "p-77=666");

	struct reader *reader = reader_new(rig_partition(r, "dead", 0));
	struct chunk c;
	struct batch b;
	struct record_iter it;
	struct record rec;
	struct buf scratch = {0};
	assert_ok(reader_read(reader, 0, 1000, &c, why));
	assert_int_equal(batch_verify(c.bytes, &b), 0);
	assert_int_equal(record_iter_init(&it, &b, 1000, &scratch), 0);
	assert_int_equal(record_iter_next(&it, &rec), 1);
	assert_int_equal(rec.header_count, 6);
	assert_int_equal(rec.timestamp, 1000);
	struct slice h = rec.headers;
	assert_header(&h, "__streams.errors.exception", "SCRIPT");
	assert_header(&h, "__streams.errors.stacktrace", "stack traceback: job.lua:7");
	assert_header(&h, "__streams.errors.message", "job.lua:7: cents must be positive");
	assert_header(&h, "__streams.errors.topic", "in");
	assert_header(&h, "__streams.errors.partition", "0");
	assert_header(&h, "__streams.errors.offset", "1");
	chunk_fini(&c);
	reader_free(reader);
	buf_fini(&scratch);
}

static void outputs_and_state_of_a_failed_record_are_undone(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_add(steps, STEP_COUNT);
	step_topic(steps, "counts");
	step_fn(steps, STEP_MAP, RAISE_ON_BAD); /* behind a count it sees numbers: never bad */
	steps = &job_flow(r->job, "g", "in")->steps;
	step_store(step_add(steps, STEP_DEDUP), "ids");
	step_fn(steps, STEP_PROCESS, STORE_FORWARD_RAISE);
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	send_three(r);
	rig_send(r, "in", "p-77", "4"); /* its first sighting failed, so it is not known */
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 c=3 p-77=4");
	assert_topic(r, "dead", 0, "p-77=666");
	assert_topic(r, "counts", 0, "a=1 p-77=1 c=1 p-77=2");
}

static void seen(void *cookie, const struct datum *key, const struct datum *value)
{
	buf_printf(cookie, "%.*s=%.*s ", (int)key->bytes.len, (const char *)key->bytes.data,
		   (int)value->bytes.len, (const char *)value->bytes.data);
}

static void a_store_is_as_if_the_failed_record_had_never_come(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct buf text = {0};

	step_store(step_fn(steps, STEP_PROCESS, STORE_FORWARD_RAISE), "own");
	r->job->on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	rig_send(r, "in", "a", "1");
	rig_send(r, "in", "b", "666");
	rig_pump(r);
	assert_ok(engine_state_scan(r->e, "own", seen, &text, why));
	assert_string_equal(buf_cstr(&text), "shared=1 ");
	buf_fini(&text);
}

static void a_retry_may_succeed(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	calls = 0;
	raise_until = 2;
	step_fn(steps, STEP_MAP, RAISE_AT_FIRST);
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	r->job->on_error.retry_times = 2;
	r->job->on_error.retry_backoff_ms = 1;
	send_three(r);
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 p-77=666 c=3");
	assert_topic(r, "dead", 0, "");
	assert_int_equal(calls, 3);
}

static void retries_end(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	calls = 0;
	raise_until = 100;
	step_fn(steps, STEP_MAP, RAISE_AT_FIRST);
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	r->job->on_error.retry_times = 3;
	send_three(r);
	rig_pump(r);
	assert_topic(r, "out", 0, "a=1 c=3");
	assert_topic(r, "dead", 0, "p-77=666");
	assert_int_equal(calls, 4);
}

static void what_does_not_decode_is_the_records_fault(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct ks_why why = {""};

	step_path(steps, STEP_FILTER, "ok");
	step_topic(steps, "out");
	policy_dead_letter(&r->job->flows[0].on_error, "dead");
	rig_send(r, "in", "a", "{oops");
	rig_send(r, "in", "b", "{\"ok\":1}");
	rig_pump(r);
	assert_topic(r, "out", 0, "b={\"ok\":1}");
	assert_topic(r, "dead", 0, "a={oops");
	rig_stop(r);
	r->job->flows[0].on_error.is_set = false; /* then the job's: none */
	rig_send(r, "in", "a", "{oops");
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
	assert_non_null(strstr(why.text, "at in[0]@2  key=a  value={oops"));
}

static void what_is_too_large_for_its_topic_is_an_error_of_the_record(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct config_entry config = {"max.message.bytes", "300"};
	struct topic_spec spec = {.name = "out", .configs = &config, .config_count = 1};
	char value[400];

	assert_ok(broker_topic_create(r->b, &spec, why));
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	memset(value, '1', sizeof value - 1);
	value[sizeof value - 1] = 0;
	rig_send(r, "in", "a", value);
	for (int i = 0; i < 10; i++) /* together they would be too large as well */
		rig_send(r, "in", "b", "\"a value of thirty-odd bytes or so\"");
	rig_pump(r);
	char *text = rig_partition_text(r, "dead", 0);
	assert_memory_equal(text, "a=111", 5);
	free(text);
	assert_int_equal(partition_high_watermark(rig_partition(r, "out", 0)), 10);
}

static void create_compacted(struct rig *r, const char *name)
{
	struct config_entry config = {"cleanup.policy", "compact"};
	struct topic_spec spec = {.name = name, .configs = &config, .config_count = 1};

	assert_ok(broker_topic_create(r->b, &spec, why));
}

static void a_compacted_topic_takes_no_record_without_a_key(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct ks_why why = {""};

	create_compacted(r, "out");
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	rig_send(r, "in", NULL, "1");
	rig_send(r, "in", "b", "2");
	rig_pump(r);
	assert_topic(r, "out", 0, "b=2");
	assert_topic(r, "dead", 0, "-=1");
	rig_stop(r);
	r->job->on_error.is_set = false;
	rig_send(r, "in", NULL, "3");
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
	assert_non_null(strstr(why.text, "the record has no key, and topic out is compacted"));
}

static void a_compacted_topic_of_dead_letters_takes_none_without_a_key(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct ks_why why = {""};

	create_compacted(r, "out");
	create_compacted(r, "dead");
	step_topic(steps, "out");
	policy_dead_letter(&r->job->on_error, "dead");
	rig_send(r, "in", NULL, "1");
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
	assert_non_null(
		strstr(why.text, "dead letters dead: it has no key, and that topic is compacted"));
}

static void an_error_that_the_script_swallows_is_one_nevertheless(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_fn(steps, STEP_FLAT_MAP, SWALLOW);
	step_topic(steps, "first");
	step_fn(steps, STEP_MAP, RAISE_ON_BAD);
	step_topic(steps, "out");
	r->job->on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	send_three(r);
	rig_pump(r);
	assert_topic(r, "first", 0, "a=1 c=3");
	assert_topic(r, "out", 0, "a=1 c=3");
}

static void a_map_must_not_change_the_key_of_what_state_follows(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct ks_why why = {""};

	step_fn(steps, STEP_MAP, GIVE_ANOTHER_KEY);
	step_add(steps, STEP_COUNT);
	rig_send(r, "in", "other", "1");
	rig_send(r, "in", "a", "1");
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
	assert_non_null(strstr(why.text, "job.lua:10: map gave the record another key"));
	assert_non_null(strstr(why.text, "put ks.rekey in between"));
	assert_int_equal(rig_offset(r, "in", 0), 1);
}

static void a_record_without_its_group_fails_before_it_is_repartitioned(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	step_path(steps, STEP_GROUP, "user");
	step_add(steps, STEP_COUNT);
	policy_dead_letter(&r->job->on_error, "dead");
	rig_send(r, "in", "a", "{}");
	rig_pump(r);
	assert_topic(r, "dead", 0, "a={}");
	assert_topic(r, "job-f-repartition", 0, "");
}

static void a_dead_letter_has_room_for_the_largest_record(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	size_t len = 1048588 - 100; /* with its batch just below the limit of topic in */
	char *value = xmalloc(len + 1);

	memset(value, '{', len);
	value[len] = 0;
	step_path(steps, STEP_FILTER, "x");
	policy_dead_letter(&r->job->on_error, "dead");
	rig_send(r, "in", "a", value);
	rig_pump(r);
	assert_int_equal(
		partition_high_watermark(topic_partition(broker_topic_find(r->b, "dead"), 0)), 1);
	free(value);
}

static void a_topic_that_is_not_there_is_named_with_a_guess(void **state)
{
	struct rig *r = *state;
	struct ks_why said = {""};
	struct broker_options options = {0};

	broker_close(r->b);
	assert_ok(broker_open(&options, &r->b, why)); /* creates no topic by itself */
	rig_topic(r, "orders", 1);
	step_topic(&job_flow(r->job, "f", "ordres")->steps, "out");
	assert_int_equal(rig_start_with(r, false, 0, &said), ERR_SCRIPT);
	assert_non_null(
		strstr(said.text, "there is no topic \"ordres\"; did you mean \"orders\"?"));
	assert_non_null(strstr(said.text, "ksrun topic create ordres"));
}

/* Two flows read the topic. The first has taken the record when the second fails. */
static void a_record_on_which_the_job_stops_leaves_nothing_in_any_flow(void **state)
{
	struct rig *r = *state;
	struct step_list *first = flow_in(r);
	struct ks_why why = {""};

	step_topic(first, "copy");
	step_add(first, STEP_COUNT);
	step_topic(first, "counts");
	step_fn(&job_flow(r->job, "g", "in")->steps, STEP_MAP, RAISE_ON_BAD);
	send_three(r);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
		assert_topic(r, "copy", 0, "a=1");
		assert_topic(r, "counts", 0, "a=1");
		assert_int_equal(rig_offset(r, "in", 0), 1);
	}
	r->job->flows[1].on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	assert_int_equal(rig_run_once(r, 1, &why), 0);
	assert_topic(r, "copy", 0, "a=1 p-77=666 c=3");
	assert_topic(r, "counts", 0, "a=1 p-77=1 c=1");
}

/* A dead letter of one flow is taken back, too, when another stops the job. */
static void a_dead_letter_of_a_record_on_which_the_job_stops_is_not_written(void **state)
{
	struct rig *r = *state;
	struct step_list *first = flow_in(r);
	struct ks_why why = {""};

	step_fn(first, STEP_MAP, RAISE_ON_BAD);
	step_topic(first, "out");
	policy_dead_letter(&r->job->flows[0].on_error, "dead");
	step_fn(&job_flow(r->job, "g", "in")->steps, STEP_MAP, RAISE_ON_BAD);
	send_three(r);
	assert_int_equal(rig_run_once(r, 1, &why), ERR_SCRIPT);
	assert_topic(r, "out", 0, "a=1");
	assert_topic(r, "dead", 0, "");
}

enum greed { PUTS_MANY, PUTS_ONE, GETS, FORWARDS };
static enum greed greed;
static int served; /* calls of ctx that went well */

static enum ks_err take_all(struct fake_call *c)
{
	static char large[1 << 20];
	struct process_context *p = c->process;
	struct ks_why why;

	for (served = 0; served < 2000; served++) {
		struct datum key = {.kind = DATUM_I64, .i64 = greed == PUTS_MANY ? served : 0};
		struct datum value = {.kind = DATUM_STRING, .bytes = slice_of(large, sizeof large)};
		bool found;
		enum ks_err err = ERR_NONE;
		if (greed == FORWARDS) {
			value.bytes.data = arena_copy(c->ctx->arena, large, sizeof large);
			err = p->forward(p->self, &value, NULL, &why);
		} else if (greed == GETS && served) {
			err = p->get(p->self, &key, &value, &found, &why);
		} else {
			err = p->put(p->self, &key, &value, &why);
		}
		if (err)
			return fake_raise(c, why.text);
	}
	return ERR_NONE;
}

static enum ks_err nothing(struct fake_call *c)
{
	*c->truthy = false;
	return ERR_NONE;
}

static void a_call_that_moves_too_much_through_ctx_is_stopped(void **state)
{
	static const fake_fn greedy[] = {take_all, nothing};
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct engine_progress p;

	r->fns = greedy;
	step_fn(steps, STEP_PROCESS, 0);
	step_fn(steps, STEP_FILTER, 1);
	r->job->on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	rig_pump(r);
	for (int i = 0; i < 4; i++) {
		greed = (enum greed)i;
		rig_send(r, "in", "a", "1");
		rig_pump(r);
		assert_true(served > 30 && served < 300);
		engine_progress(r->e, &p);
		assert_int_equal(p.skipped, i + 1);
	}
}

/* Each of its elements has the record's key. */
static void a_record_that_makes_too_much_of_itself_fails(void **state)
{
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);
	struct buf key = {0}, value = {0};
	struct engine_progress p;

	for (int i = 0; i < 100000; i++)
		buf_append_str(&key, "k");
	buf_append_str(&value, "{\"all\":[1");
	for (int i = 0; i < 2000; i++)
		buf_append_str(&value, ",1");
	buf_append_str(&value, "]}");
	step_path(steps, STEP_EXPLODE, "all");
	step_topic(steps, "out");
	r->job->on_error = (struct error_policy){.is_set = true, .action = ERROR_SKIP};
	rig_send(r, "in", buf_cstr(&key), buf_cstr(&value));
	rig_send(r, "in", "a", "{\"all\":[1,2]}");
	rig_pump(r);
	engine_progress(r->e, &p);
	assert_int_equal(p.skipped, 1);
	assert_topic(r, "out", 0, "a=1 a=2");
	buf_fini(&key);
	buf_fini(&value);
}

static atomic_int tried;

static enum ks_err count_and_raise(struct fake_call *c)
{
	atomic_fetch_add(&tried, 1);
	return fake_raise(c, "the weather is bad");
}

static void a_stop_while_a_retry_waits_gives_nothing_up(void **state)
{
	static const fake_fn raising[] = {count_and_raise};
	static const fake_fn well[] = {raise_on_bad};
	struct rig *r = *state;
	struct step_list *steps = flow_in(r);

	r->fns = raising;
	step_fn(steps, STEP_MAP, 0);
	step_topic(steps, "out");
	r->job->on_error = (struct error_policy){.is_set = true,
						 .action = ERROR_SKIP,
						 .retry_times = 1000,
						 .retry_backoff_ms = 3600000};
	rig_send(r, "in", "a", "1");
	atomic_store(&tried, 0);
	assert_ok(rig_start_with(r, false, 1, why));
	while (atomic_load(&tried) == 0)
		sched_yield();
	engine_request_stop(r->e);
	assert_ok(engine_wait(r->e, why));
	rig_stop(r);
	assert_int_equal(atomic_load(&tried), 1);
	r->fns = well;
	assert_ok(rig_run_once(r, 1, why));
	assert_topic(r, "out", 0, "a=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_failing_record_stops_the_job_and_what_came_before_stands),
		ROCKS(a_failing_record_stops_the_job_and_what_came_before_stands),
		TEST(a_failing_record_can_be_skipped),
		TEST(a_dead_letter_has_the_bytes_and_the_reasons),
		TEST(outputs_and_state_of_a_failed_record_are_undone),
		TEST(a_store_is_as_if_the_failed_record_had_never_come),
		TEST(a_retry_may_succeed),
		TEST(retries_end),
		TEST(a_record_on_which_the_job_stops_leaves_nothing_in_any_flow),
		ROCKS(a_record_on_which_the_job_stops_leaves_nothing_in_any_flow),
		TEST(a_dead_letter_of_a_record_on_which_the_job_stops_is_not_written),
		TEST(a_stop_while_a_retry_waits_gives_nothing_up),
		TEST(a_call_that_moves_too_much_through_ctx_is_stopped),
		TEST(a_record_that_makes_too_much_of_itself_fails),
		TEST(what_does_not_decode_is_the_records_fault),
		TEST(what_is_too_large_for_its_topic_is_an_error_of_the_record),
		TEST(a_compacted_topic_takes_no_record_without_a_key),
		TEST(a_compacted_topic_of_dead_letters_takes_none_without_a_key),
		TEST(an_error_that_the_script_swallows_is_one_nevertheless),
		TEST(a_map_must_not_change_the_key_of_what_state_follows),
		TEST(a_record_without_its_group_fails_before_it_is_repartitioned),
		TEST(a_dead_letter_has_room_for_the_largest_record),
		TEST(a_topic_that_is_not_there_is_named_with_a_guess),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The engine's calls into a script: what functions get, what becomes of what they return, what errors say. */
#include "script_fixture.h"

#include "wire/batch.h"

struct ops_rig {
	struct script_fixture *x;
	struct script *s;
	struct doc_parser *parser;
	struct arena arena;
	struct buf scratch;
	struct record_context context;
	struct rec rec;
	struct script_error error;
	struct buf input;
	struct buf headers;
};

static int rig_setup(void **state)
{
	struct ops_rig *r = xcalloc(1, sizeof *r);

	fixture_setup((void **)&r->x);
	r->parser = doc_parser_new();
	r->context = (struct record_context){
		.parser = r->parser, .arena = &r->arena, .scratch = &r->scratch};
	*state = r;
	return 0;
}

static int rig_teardown(void **state)
{
	struct ops_rig *r = *state;
	void *x = r->x;

	if (r->s)
		r->s->ops->free(r->s);
	doc_parser_free(r->parser);
	arena_fini(&r->arena);
	buf_fini(&r->scratch);
	buf_fini(&r->input);
	buf_fini(&r->headers);
	free(r);
	return fixture_teardown(&x);
}

/* Loads a job with one map step that has this function; or all of a flow when it is one. */
static void load(struct ops_rig *r, const char *function)
{
	char *text = xasprintf(
		"local ks = require \"ks\"\nreturn ks.job \"j\" { flows = { f = { ks.from \"a\",\n"
		"ks.map(%s),\nks.to \"b\" } } }\n",
		function);
	struct script_factory factory;
	struct ks_why why;
	enum ks_err err;

	if (r->s)
		r->s->ops->free(r->s);
	err = fixture_load(r->x, text);
	if (err)
		print_error("%s", buf_cstr(&r->x->report));
	assert_int_equal(err, ERR_NONE);
	free(text);
	factory = script_file_factory(r->x->file, 0);
	r->s = factory.make(factory.self, &why);
	assert_non_null(r->s);
}

/* A new record of this JSON text. */
static void begin(struct ops_rig *r, const char *json)
{
	buf_clear(&r->input);
	buf_append_str(&r->input, json);
	arena_reset(&r->arena);
	r->rec = (struct rec){.value = {.kind = DATUM_JSON, .bytes = buf_slice(&r->input)},
			      .key = {.kind = DATUM_STRING, .bytes = slice_str("key")},
			      .timestamp = 1790000000123,
			      .topic = "a",
			      .partition = 3,
			      .offset = 42,
			      .headers = buf_slice(&r->headers)};
	r->s->ops->begin_record(r->s, &r->rec, &r->context);
}

static enum ks_err map(struct ops_rig *r, const char *json, struct datum *value, struct datum *key,
		       bool *has_key)
{
	begin(r, json);
	return r->s->ops->map(r->s, 0, &r->rec, value, key, has_key, &r->error);
}

/* The bytes a datum has as JSON, or as the string it is. */
static const char *text_of(struct ops_rig *r, struct datum *d)
{
	struct slice bytes;
	struct ks_why why;
	enum serde serde = d->kind == DATUM_STRING ? SERDE_STRING : SERDE_JSON;

	assert_int_equal(datum_encode(&r->context, serde, d, &bytes, &why), ERR_NONE);
	r->scratch.len = 0;
	if (!bytes.data)
		return "(null)";
	return memcpy(memset(arena_alloc(&r->arena, bytes.len + 1), 0, bytes.len + 1), bytes.data,
		      bytes.len);
}

static void maps(struct ops_rig *r, const char *function, const char *json, const char *expected)
{
	struct datum value, key;
	bool has_key;
	enum ks_err err;

	load(r, function);
	err = map(r, json, &value, &key, &has_key);
	if (err)
		print_error("%s at %s\n", r->error.message, r->error.where);
	assert_int_equal(err, ERR_NONE);
	assert_string_equal(text_of(r, &value), expected);
}

static void values_go_in_and_come_out(void **state)
{
	struct ops_rig *r = *state;

	maps(r, "function(v) return v end", "{ \"a\": 1.0,  \"b\": [] }",
	     "{ \"a\": 1.0,  \"b\": [] }");
	maps(r, "function(v) v.a = 2 return v end", "{\"a\":1,\"b\":18446744073709551616}",
	     "{\"a\":2,\"b\":18446744073709551616}");
	maps(r, "function(v) return v.b end", "{\"a\":1,\"b\":{\"c\": null}}", "{\"c\": null}");
	maps(r, "function(v) return v.b[2] end", "{\"b\":[1,2.50,3]}", "2.5");
	maps(r, "function(v) return { x = v.a, y = { 1, 2 } } end", "{\"a\":1}",
	     "{\"x\":1,\"y\":[1,2]}");
	maps(r, "function(v) return ks.array {} end", "{}", "[]");
	maps(r, "function(v) return v.a == ks.null end", "{\"a\":null}", "true");
	maps(r, "function(v) return ks.null end", "{}", "null");
	maps(r, "function(v) return \"text\" end", "{}", "text");
	maps(r, "function(v) return 7 end", "{}", "7");
	maps(r, "function(v) return 7.0 end", "{}", "7.0");
	maps(r, "function(v) return v end", "5", "5");
}

static void a_key_may_be_returned(void **state)
{
	struct ops_rig *r = *state;
	struct datum value, key;
	bool has_key;

	load(r, "function(v, k) return v, k .. v.a end");
	assert_int_equal(map(r, "{\"a\":1}", &value, &key, &has_key), ERR_NONE);
	assert_true(has_key);
	assert_string_equal(text_of(r, &key), "key1");
	load(r, "function(v) return v end");
	assert_int_equal(map(r, "{\"a\":1}", &value, &key, &has_key), ERR_NONE);
	assert_false(has_key);
	load(r, "function(v) return v, ks.tombstone end");
	assert_int_equal(map(r, "{\"a\":1}", &value, &key, &has_key), ERR_NONE);
	assert_true(has_key);
	assert_int_equal(key.kind, DATUM_NULL);
}

static void the_record_tells_where_it_comes_from(void **state)
{
	struct ops_rig *r = *state;

	record_header_append(&r->headers, slice_str("trace"), slice_str("old"));
	record_header_append(&r->headers, slice_str("trace"), slice_str("new"));
	maps(r,
	     "function(v, k, rec) return { rec.topic, rec.partition, rec.offset, rec.timestamp, "
	     "rec.headers.trace, rec.headers.none == nil } end",
	     "{}", "[\"a\",3,42,1790000000123,\"new\",true]");
	maps(r,
	     "function(v, k, rec) local t = {} for n, h in pairs(rec.headers) do t[#t + 1] = n .. "
	     "h end return t end",
	     "{}", "[\"traceold\",\"tracenew\"]");
}

static void the_same_record_gives_the_same_random_values(void **state)
{
	struct ops_rig *r = *state;
	struct datum value, key;
	char first[200];
	bool has_key;

	load(r, "function(v) return { ks.uuid.v4(), ks.uuid.v4(), ks.uuid.v7(), math.random(1 << "
		"40) } end");
	assert_int_equal(map(r, "{}", &value, &key, &has_key), ERR_NONE);
	snprintf(first, sizeof first, "%s", text_of(r, &value));
	assert_int_equal(map(r, "{}", &value, &key, &has_key), ERR_NONE);
	assert_string_equal(text_of(r, &value), first);
	r->rec.offset = 43;
	r->s->ops->begin_record(r->s, &r->rec, &r->context);
	assert_int_equal(r->s->ops->map(r->s, 0, &r->rec, &value, &key, &has_key, &r->error),
			 ERR_NONE);
	assert_string_not_equal(text_of(r, &value), first);
}

static void fails_with(struct ops_rig *r, const char *function, const char *json, enum ks_err err,
		       const char *says)
{
	struct datum value, key;
	bool has_key;

	load(r, function);
	assert_int_equal(map(r, json, &value, &key, &has_key), err);
	assert_int_equal(r->error.err, err);
	if (!strstr(r->error.message, says))
		print_error("expected: %s\ngot: %s\n", says, r->error.message);
	assert_non_null(strstr(r->error.message, says));
}

static void errors_say_what_and_where(void **state)
{
	struct ops_rig *r = *state;
	char *where = xasprintf("%s:4", r->x->path);

	fails_with(r, "function(v)\nassert(v.cents > 0, \"cents must be positive\") return v end",
		   "{\"cents\":-1}", ERR_SCRIPT, "cents must be positive");
	assert_string_equal(r->error.message, "cents must be positive");
	assert_string_equal(r->error.where, where);
	assert_non_null(strstr(r->error.traceback, "job.lua:4"));
	free(where);
	fails_with(r, "function(v) v.x = 1 end", "{}", ERR_SCRIPT, "forgot `return`?");
	fails_with(r, "function(v) return v.a.b end", "{}", ERR_SCRIPT, "nil value");
	fails_with(r, "function(v) return { f = print } end", "{}", ERR_ENCODE, "at .f");
	fails_with(r, "function(v) return 0/0 == 1 or { n = 0/0 } end", "{}", ERR_ENCODE, "NaN");
	fails_with(r, "function(v) while true do end end", "{}", ERR_BUDGET, "ran longer");
	fails_with(r, "function(v) return v end", "{oops", ERR_DECODE, "the value");
	fails_with(r, "function(v, k, rec) rec.topic = 1 return v end", "{}", ERR_SCRIPT,
		   "rec is read-only");
	fails_with(r, "function(v, k, rec) return rec.tpoic end", "{}", ERR_SCRIPT, "it has topic");
}

static void the_name_of_a_function_is_found(void **state)
{
	struct ops_rig *r = *state;
	struct datum value, key;
	bool has_key;

	assert_int_equal(
		fixture_load(
			r->x,
			"local ks = require \"ks\"\nlocal function checked(v) error \"no\" end\n"
			"return ks.job \"j\" { flows = { f = { ks.from \"a\", ks.map(checked), "
			"ks.to \"b\" } } }\n"),
		ERR_NONE);
	struct script_factory factory = script_file_factory(r->x->file, 0);
	struct ks_why why;

	r->s = factory.make(factory.self, &why);
	assert_non_null(r->s);
	assert_int_equal(map(r, "{}", &value, &key, &has_key), ERR_SCRIPT);
	assert_string_equal(r->error.function, "checked");
	assert_string_equal(r->error.message, "no");
}

static void a_failed_call_leaves_the_script_usable(void **state)
{
	struct ops_rig *r = *state;
	struct datum value, key;
	bool has_key;

	load(r, "function(v) if v.bad then error(\"bad\") end return v end");
	for (int i = 0; i < 300; i++) {
		assert_int_equal(map(r, "{\"bad\":true}", &value, &key, &has_key), ERR_SCRIPT);
		assert_int_equal(map(r, "{\"n\":1}", &value, &key, &has_key), ERR_NONE);
	}
}

static void a_view_of_an_earlier_record_is_refused(void **state)
{
	struct ops_rig *r = *state;
	struct datum value, key;
	bool has_key;

	load(r, "(function() local kept; return function(v) local old = kept; kept = v; return old "
		"and old.a or v end end)()");
	assert_int_equal(map(r, "{\"a\":1}", &value, &key, &has_key), ERR_NONE);
	assert_int_equal(map(r, "{\"a\":2}", &value, &key, &has_key), ERR_SCRIPT);
}

static void truth_is_luas_but_for_null(void **state)
{
	static const struct {
		const char *function;
		bool truthy;
	} rows[] = {{"function(v) return v.a end", true},
		    {"function(v) return v.none end", false},
		    {"function(v) return v.nothing end", false},
		    {"function(v) return 0 end", true},
		    {"function(v) return false end", false},
		    {"function() return true end", true}};
	struct ops_rig *r = *state;
	bool truthy;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		load(r, rows[i].function);
		begin(r, "{\"a\":0,\"nothing\":null}");
		assert_int_equal(r->s->ops->test(r->s, 0, &r->rec, &truthy, &r->error), ERR_NONE);
		assert_int_equal(truthy, rows[i].truthy);
	}
}

static enum ks_err note(void *self, struct datum *value, struct datum *key)
{
	struct ops_rig *r = self;

	buf_printf(&r->x->report, "%s", text_of(r, value));
	if (key)
		buf_printf(&r->x->report, "@%s", text_of(r, key));
	buf_append_str(&r->x->report, ";");
	return ERR_NONE;
}

static enum ks_err flat_map(struct ops_rig *r, const char *function, const char *json)
{
	struct script_emit emit = {r, note};

	load(r, function);
	begin(r, json);
	buf_clear(&r->x->report);
	return r->s->ops->flat_map(r->s, 0, &r->rec, &emit, &r->error);
}

static void flat_map_sends_every_element(void **state)
{
	struct ops_rig *r = *state;

	assert_int_equal(flat_map(r, "function(v) return { 1, \"two\", { n = 3 } } end", "{}"),
			 ERR_NONE);
	assert_string_equal(buf_cstr(&r->x->report), "1;two;{\"n\":3};");
	assert_int_equal(
		flat_map(r,
			 "function(v) return { { key = \"k\", value = v.a }, { value = 2 } } end",
			 "{\"a\":[1]}"),
		ERR_NONE);
	assert_string_equal(buf_cstr(&r->x->report), "[1]@k;2;");
	assert_int_equal(
		flat_map(r, "function(v) return v.list end", "{\"list\":[{\"a\":1}, 2,null]}"),
		ERR_NONE);
	assert_string_equal(buf_cstr(&r->x->report), "{\"a\":1};2;null;");
	assert_int_equal(flat_map(r, "function(v) return {} end", "{}"), ERR_NONE);
	assert_string_equal(buf_cstr(&r->x->report), "");
	assert_int_equal(flat_map(r, "function(v) return { a = 1 } end", "{}"), ERR_SCRIPT);
	assert_non_null(strstr(r->error.message, "must return a list"));
	assert_int_equal(flat_map(r, "function(v) end", "{}"), ERR_SCRIPT);
	assert_non_null(strstr(r->error.message, "forgot `return`?"));
}

static void fold_gets_the_accumulator_first(void **state)
{
	struct ops_rig *r = *state;
	struct datum acc = {.kind = DATUM_JSON, .bytes = slice_str("{\"n\":1}")}, out;
	uint8_t *text;

	load(r, "function(acc, v, k, rec) acc.n = acc.n + v.n; acc.k = k; acc.p = rec.partition "
		"return acc end");
	begin(r, "{\"n\":5}");
	text = arena_copy(&r->arena, "{\"n\":1}", 7);
	acc.bytes = slice_of(text, 7);
	assert_int_equal(r->s->ops->fold(r->s, 0, &acc, &r->rec, &out, &r->error), ERR_NONE);
	assert_string_equal(text_of(r, &out), "{\"n\":6,\"k\":\"key\",\"p\":3}");
}

/* A store of one entry. */
struct fake_store {
	struct ops_rig *r;
	struct datum value;
	bool has_value;
	int forwarded;
	enum ks_err fail_forward;
};

static enum ks_err fake_get(void *self, struct datum *key, struct datum *value, bool *found,
			    struct ks_why *why)
{
	struct fake_store *f = self;

	(void)why;
	assert_string_equal(text_of(f->r, key), "key");
	*found = f->has_value;
	*value = f->value;
	return ERR_NONE;
}

static enum ks_err fake_put(void *self, struct datum *key, struct datum *value, struct ks_why *why)
{
	struct fake_store *f = self;

	(void)key;
	(void)why;
	f->has_value = value->kind != DATUM_NULL;
	f->value = *value;
	return ERR_NONE;
}

static enum ks_err fake_forward(void *self, struct datum *value, struct datum *key,
				struct ks_why *why)
{
	struct fake_store *f = self;

	f->forwarded++;
	if (f->fail_forward)
		return ks_fail(why, f->fail_forward, "the next step failed");
	return note(f->r, value, key);
}

static void process_has_a_store_and_forwards(void **state)
{
	struct ops_rig *r = *state;
	struct fake_store f = {.r = r};
	struct process_context p = {.self = &f,
				    .get = fake_get,
				    .put = fake_put,
				    .forward = fake_forward,
				    .stream_time = 99};

	load(r, "function(ctx, v, k)\n local last = ctx.state[k]\n ctx.state[k] = v.n\n"
		" if last then ctx:forward({ last, v.n, ctx.time }, \"other\") end\n if v.n == 0 "
		"then ctx.state[k] = nil end\nend");
	buf_clear(&r->x->report);
	begin(r, "{\"n\":4}");
	assert_int_equal(r->s->ops->process(r->s, 0, &r->rec, &p, &r->error), ERR_NONE);
	assert_int_equal(f.forwarded, 0);
	assert_int_equal(f.value.i64, 4);
	begin(r, "{\"n\":0}");
	assert_int_equal(r->s->ops->process(r->s, 0, &r->rec, &p, &r->error), ERR_NONE);
	assert_string_equal(buf_cstr(&r->x->report), "[4,0,99]@other;");
	assert_false(f.has_value);
}

static void a_failure_of_the_engine_cannot_be_caught(void **state)
{
	struct ops_rig *r = *state;
	struct fake_store f = {.r = r, .fail_forward = ERR_ENCODE};
	struct process_context p = {
		.self = &f, .get = fake_get, .put = fake_put, .forward = fake_forward};

	load(r, "function(ctx, v) pcall(ctx.forward, ctx, v) end");
	begin(r, "{\"n\":4}");
	assert_int_equal(r->s->ops->process(r->s, 0, &r->rec, &p, &r->error), ERR_ENCODE);
	assert_non_null(strstr(r->error.message, "the next step failed"));
}

#define OPS_TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		OPS_TEST(values_go_in_and_come_out),
		OPS_TEST(a_key_may_be_returned),
		OPS_TEST(the_record_tells_where_it_comes_from),
		OPS_TEST(the_same_record_gives_the_same_random_values),
		OPS_TEST(errors_say_what_and_where),
		OPS_TEST(the_name_of_a_function_is_found),
		OPS_TEST(a_failed_call_leaves_the_script_usable),
		OPS_TEST(a_view_of_an_earlier_record_is_refused),
		OPS_TEST(truth_is_luas_but_for_null),
		OPS_TEST(flat_map_sends_every_element),
		OPS_TEST(fold_gets_the_accumulator_first),
		OPS_TEST(process_has_a_store_and_forwards),
		OPS_TEST(a_failure_of_the_engine_cannot_be_caught),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

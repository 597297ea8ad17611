/* test_driver.c - require "ks.test": a job run record by record over a broker in memory.
 *
 * The engine is the real one, in manual mode, and calls the functions of the Lua state that the test runs in. Time is
 * the driver's: it stands still until t:advance. Whatever is sent is processed and committed before t:send returns.
 */
#include <lauxlib.h>
#include <stdlib.h>

#include "base/suggest.h"
#include "lua/script_impl.h"
#include "lua/test_impl.h"
#include "lua/value.h"
#include "streams/engine.h"
#include "streams/plan.h"
#include "wire/batch.h"

#define DRIVER_META "ks.driver"
#define CLOCK_START INT64_C(1767225600000) /* 2026-01-01T00:00:00Z */
#define READ_BYTES  (1u << 20)
#define RECORD_MAX  (64u << 20)

/* Records that appeared in one partition between two looks. */
struct segment {
	struct topic *topic;
	struct partition *partition;
	int64_t next, end;
};

struct seen {
	struct partition *partition;
	int64_t end;
};

struct driver {
	lua_State *L;
	const struct job *job;
	int job_ref;
	int64_t now_ms;
	struct clock clock;
	struct broker *broker;
	struct engine *engine;
	struct doc_parser *parser;
	struct arena arena; /* of the call under way */
	struct record_context context;
	struct segment *segments; /* not taken yet, in the order of their appearance */
	size_t segment_count;
	struct seen *seen;
	size_t seen_count;
	struct buf scratch;
};

static int64_t driver_now(void *self)
{
	return ((struct driver *)self)->now_ms;
}

static int64_t driver_monotonic(void *self)
{
	return ((struct driver *)self)->now_ms * 1000000;
}

void test_push_plain(lua_State *L, int idx)
{
	doc_node n;

	idx = lua_absindex(L, idx);
	if (!value_doc(L, idx, &n)) {
		lua_pushvalue(L, idx);
		return;
	}
	lua_getfield(L, LUA_REGISTRYINDEX, "ks.module");
	lua_getfield(L, -1, "table");
	lua_remove(L, -2);
	lua_pushvalue(L, idx);
	lua_call(L, 1, 1);
}

/* --- life --- */

static void driver_fini(struct driver *d)
{
	if (d->engine) {
		struct ks_why why;

		engine_request_stop(d->engine);
		(void)engine_wait(d->engine, &why);
	}
	engine_free(d->engine);
	d->engine = NULL;
	broker_close(d->broker);
	d->broker = NULL;
	doc_parser_free(d->parser);
	d->parser = NULL;
	arena_fini(&d->arena);
	buf_fini(&d->scratch);
	free(d->segments);
	free(d->seen);
	d->segments = NULL;
	d->seen = NULL;
	d->segment_count = d->seen_count = 0;
}

static int driver_gc(lua_State *L)
{
	struct driver *d = luaL_checkudata(L, 1, DRIVER_META);

	driver_fini(d);
	luaL_unref(L, LUA_REGISTRYINDEX, d->job_ref);
	d->job_ref = LUA_NOREF;
	return 0;
}

static struct driver *check_driver(lua_State *L)
{
	struct driver *d = luaL_checkudata(L, 1, DRIVER_META);

	if (!d->engine)
		luaL_error(L, "this driver is closed");
	if (!lua_pushthread(L))
		luaL_error(L, "the driver works outside of coroutines only");
	lua_pop(L, 1);
	arena_reset(&d->arena);
	return d;
}

static struct script *make_script(void *self, struct ks_why *why)
{
	struct driver *d = self;
	struct script *s;

	(void)why;
	lua_rawgeti(d->L, LUA_REGISTRYINDEX, d->job_ref);
	s = script_ops_new(sandbox_of(d->L), false, lua_gettop(d->L));
	lua_pop(d->L, 1);
	return s;
}

static int raise_why(lua_State *L, const struct ks_why *why)
{
	return luaL_error(L, "%s", why->text);
}

/* The engine makes outputs; inputs are whose job it is to feed them: here the test's. */
static enum ks_err create_topics(struct driver *d, struct ks_why *why)
{
	struct plan *plan = NULL;
	struct buf report = {0};
	enum ks_err err = plan_make(d->job, NULL, &plan, &report);

	if (err)
		(void)ks_fail(why, err, "%s", buf_cstr(&report));
	for (size_t i = 0; !err && i < plan->topic_count; i++) {
		const struct plan_topic *t = &plan->topics[i];
		struct topic_spec spec = {.name = t->name,
					  .partitions = t->partitions > 0 ? t->partitions : 1};

		if (t->is_input && !t->is_repartition && !t->decl)
			err = broker_topic_create(d->broker, &spec, why);
	}
	plan_free(plan);
	buf_fini(&report);
	return err;
}

static enum ks_err driver_start(struct driver *d, struct ks_why *why)
{
	struct broker_options bo = {
		.clock = &d->clock, .auto_create_topics = true, .no_sync = true};
	struct engine_options eo = {
		.job = d->job, .scripts = {d, make_script}, .owner = "a test", .is_manual = true};
	enum ks_err err = broker_open(&bo, &d->broker, why);

	if (!err)
		err = create_topics(d, why);
	eo.broker = d->broker;
	if (!err)
		err = engine_start(&eo, &d->engine, why);
	return err;
}

/* test.driver(job) */
static int driver_new(lua_State *L)
{
	struct job_object *o = job_at(L, 1);
	struct driver *d;
	struct ks_why why = {""};

	if (!o)
		return luaL_error(L,
				  "test.driver takes a job: test.driver(dofile \"my_script.lua\")");
	if (!lua_pushthread(L))
		return luaL_error(L, "the driver works outside of coroutines only");
	lua_settop(L, 1);
	d = lua_newuserdatauv(L, sizeof *d, 0);
	memset(d, 0, sizeof *d);
	d->job_ref = LUA_NOREF;
	luaL_setmetatable(L, DRIVER_META);
	d->L = L;
	d->job = o->job;
	lua_pushvalue(L, 1);
	d->job_ref = luaL_ref(L, LUA_REGISTRYINDEX);
	d->now_ms = CLOCK_START;
	d->clock = (struct clock){driver_now, driver_monotonic, d};
	d->parser = doc_parser_new();
	d->context = (struct record_context){
		.parser = d->parser, .arena = &d->arena, .scratch = &d->scratch};
	if (driver_start(d, &why) != ERR_NONE) {
		driver_fini(d);
		return raise_why(L, &why);
	}
	return 1;
}

/* --- topics and serdes --- */

static void serdes_of_steps(const struct step_list *list, const char *topic, enum serde *key,
			    enum serde *value)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *s = &list->steps[i];

		for (size_t k = 0; k < s->branch_count; k++)
			serdes_of_steps(&s->branches[k].steps, topic, key, value);
		if (s->kind != STEP_TO || !s->topic || strcmp(s->topic, topic) != 0)
			continue;
		if (s->has_key_serde)
			*key = s->key_serde;
		if (s->has_value_serde)
			*value = s->value_serde;
	}
}

/* As the job reads or writes the topic; what a step says counts more than the declaration. */
static void topic_serdes(const struct driver *d, const char *topic, enum serde *key,
			 enum serde *value)
{
	job_topic_serdes(d->job, topic, key, value);
	for (size_t i = 0; i < d->job->flow_count; i++) {
		const struct flow *f = &d->job->flows[i];

		serdes_of_steps(&f->steps, topic, key, value);
		for (size_t k = 0; k < f->topic_count; k++) {
			if (strcmp(f->topics[k], topic) != 0)
				continue;
			if (f->has_key_serde)
				*key = f->key_serde;
			if (f->has_value_serde)
				*value = f->value_serde;
		}
	}
}

static bool names_topics_by_function(const struct step_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		const struct step *s = &list->steps[i];

		if (s->kind == STEP_TO && !s->topic)
			return true;
		for (size_t k = 0; k < s->branch_count; k++) {
			if (names_topics_by_function(&s->branches[k].steps))
				return true;
		}
	}
	return false;
}

/* NULL: nothing was written there yet, but ks.to(fn) may name any topic. */
static struct topic *find_topic(lua_State *L, struct driver *d, int idx)
{
	const char *name = luaL_checkstring(L, idx);
	struct topic *t = broker_topic_find(d->broker, name);
	char *near;

	for (size_t i = 0; !t && i < d->job->flow_count; i++) {
		if (names_topics_by_function(&d->job->flows[i].steps))
			return NULL;
	}
	if (t)
		return t;
	near = broker_topic_suggest(d->broker, name);
	if (near) {
		lua_pushstring(L, near);
		free(near);
		luaL_error(L, "the job has no topic \"%s\"; did you mean \"%s\"?", name,
			   lua_tostring(L, -1));
	}
	luaL_error(L, "the job has no topic \"%s\"", name);
	return NULL;
}

/* A topic to send to is made when a pattern or a function may mean it. */
static struct topic *input_topic(lua_State *L, struct driver *d, int idx)
{
	struct ks_why why;
	struct topic *t = find_topic(L, d, idx);

	if (!t)
		t = broker_topic_find_or_create(d->broker, lua_tostring(L, idx), &why);
	if (!t)
		luaL_error(L, "%s", why.text);
	return t;
}

/* --- sending --- */

/* The bytes of a key or value. A string goes out as it is, so that a test can send what does not decode. */
static struct slice encode_value(lua_State *L, struct driver *d, int idx, enum serde serde,
				 const char *what)
{
	struct datum datum;
	struct slice bytes;
	struct ks_why why;
	size_t len;

	if (lua_type(L, idx) == LUA_TSTRING) {
		const char *text = lua_tolstring(L, idx, &len);

		return slice_of(arena_copy(&d->arena, text, len), len);
	}
	if (script_take_datum(L, idx, &d->context, NULL, &datum, &why) != ERR_NONE)
		luaL_error(L, "the %s cannot be sent: %s", what, why.text);
	if (datum.kind == DATUM_NULL)
		return SLICE_NULL;
	if (datum_encode(&d->context, serde, &datum, &bytes, &why) != ERR_NONE)
		luaL_error(L, "the %s cannot be sent as %s: %s", what, serde_name(serde), why.text);
	return bytes;
}

/* headers = { name = "value" }, sent in the order of their names. */
static struct slice encode_headers(lua_State *L, struct driver *d, int32_t *count)
{
	const char **names;
	size_t n, len;

	*count = 0;
	buf_clear(&d->scratch);
	lua_getfield(L, 3, "headers");
	if (lua_isnil(L, -1))
		return SLICE_NULL;
	luaL_checktype(L, -1, LUA_TTABLE);
	names = build_sorted_keys(L, lua_gettop(L), NULL, &n);
	for (size_t i = 0; i < n; i++) {
		const char *text;

		lua_getfield(L, -2, names[i]);
		text = luaL_tolstring(L, -1, &len);
		record_header_append(&d->scratch, slice_str(names[i]), slice_of(text, len));
		lua_pop(L, 2);
	}
	*count = (int32_t)n;
	return slice_of(arena_copy(&d->arena, d->scratch.data, d->scratch.len), d->scratch.len);
}

/* Partition 0 unless the test says another: a test that counts offsets need not know how keys are spread. */
static int32_t choose_partition(lua_State *L, struct topic *t)
{
	int32_t count = topic_partition_count(t);
	lua_Integer wanted;

	lua_getfield(L, 3, "partition");
	wanted = luaL_optinteger(L, -1, 0);
	if (wanted < 0 || wanted >= count)
		luaL_error(L, "topic \"%s\" has the partitions 0 to %d", topic_name(t),
			   (int)count - 1);
	return (int32_t)wanted;
}

static void check_record_keys(lua_State *L)
{
	static const char *const keys[] = {"key", "value", "timestamp", "headers", "partition"};

	luaL_checktype(L, 3, LUA_TTABLE);
	for (lua_pushnil(L); lua_next(L, 3); lua_pop(L, 1)) {
		const char *key = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : "?";
		bool known = false;

		for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
			known |= strcmp(key, keys[i]) == 0;
		if (!known)
			luaL_error(L,
				   "a record to send has key, value, timestamp, headers and "
				   "partition, not \"%s\"",
				   key);
	}
}

static void note_outputs(struct driver *d, bool keep);

static void pump(lua_State *L, struct driver *d)
{
	struct ks_why why = {""};
	enum ks_err err;

	luaL_checkstack(L, LUA_MINSTACK, NULL);
	err = engine_pump(d->engine, &why);
	surroundings_of(L)->record = NULL;
	if (err)
		raise_why(L, &why);
	note_outputs(d, true);
}

/* t:send(topic, { key =, value =, timestamp =, headers =, partition = }) -> offset */
static int driver_send(lua_State *L)
{
	struct driver *d = check_driver(L);
	struct topic *t = input_topic(L, d, 2);
	struct batch_writer w = {0};
	struct buf batch = {0};
	struct ks_why why;
	enum serde key_serde, value_serde;
	struct slice key, value, headers;
	int32_t header_count, partition;
	int64_t timestamp, offset;

	lua_settop(L, 3);
	check_record_keys(L);
	topic_serdes(d, topic_name(t), &key_serde, &value_serde);
	lua_getfield(L, 3, "key");
	key = encode_value(L, d, -1, key_serde, "key");
	lua_getfield(L, 3, "value");
	value = encode_value(L, d, -1, value_serde, "value");
	lua_getfield(L, 3, "timestamp");
	timestamp = luaL_optinteger(L, -1, d->now_ms);
	headers = encode_headers(L, d, &header_count);
	partition = choose_partition(L, t);

	batch_writer_begin(&w, &batch);
	batch_writer_append(&w, timestamp, key, value, headers, header_count);
	batch_writer_finish(&w, CODEC_NONE, &d->scratch);
	if (broker_append_wait(d->broker, topic_partition(t, partition), frame_take_buf(&batch),
			       ACKS_ALL, &offset, &why) != ERR_NONE)
		return raise_why(L, &why);
	note_outputs(d, false);
	pump(L, d);
	lua_pushinteger(L, offset);
	return 1;
}

/* --- taking --- */

static struct seen *seen_of(struct driver *d, struct partition *p)
{
	for (size_t i = 0; i < d->seen_count; i++) {
		if (d->seen[i].partition == p)
			return &d->seen[i];
	}
	d->seen = xrealloc(d->seen, (d->seen_count + 1) * sizeof *d->seen);
	d->seen[d->seen_count] = (struct seen){p, 0};
	return &d->seen[d->seen_count++];
}

/* Remembers what was appended since the last look, so that records come out in the order in which they were
 * written, over all partitions. keep = false: it was the test that wrote. */
static void note_outputs(struct driver *d, bool keep)
{
	size_t n;
	struct topic **topics = broker_topics(d->broker, &n);

	for (size_t i = 0; i < n; i++) {
		for (int32_t k = 0; k < topic_partition_count(topics[i]); k++) {
			struct partition *p = topic_partition(topics[i], k);
			struct seen *s = seen_of(d, p);
			int64_t end = partition_high_watermark(p);

			if (keep && end > s->end) {
				d->segments = xrealloc(d->segments, (d->segment_count + 1) *
									    sizeof *d->segments);
				d->segments[d->segment_count++] =
					(struct segment){topics[i], p, s->end, end};
			}
			s->end = end;
		}
	}
	free(topics);
}

/* Pushes the plain value of bytes; what does not decode comes as the string it is. */
static void push_decoded(lua_State *L, struct driver *d, enum serde serde, struct slice bytes)
{
	struct datum datum;
	struct ks_why why;
	uint8_t *copy;

	if (!bytes.data) {
		lua_pushnil(L);
		return;
	}
	copy = arena_copy(&d->arena, bytes.data, bytes.len);
	if (datum_decode(serde, slice_of(copy, bytes.len), &datum, &why) == ERR_NONE &&
	    script_push_datum(L, &d->context, &datum, &why) == ERR_NONE) {
		test_push_plain(L, -1);
		lua_remove(L, -2);
		return;
	}
	lua_pushlstring(L, (const char *)bytes.data, bytes.len);
}

static void push_headers(lua_State *L, struct slice headers)
{
	struct record_header h;

	lua_newtable(L);
	while (record_header_next(&headers, &h) == 1) {
		lua_pushlstring(L, (const char *)h.name.data, h.name.len);
		lua_pushlstring(L, h.value.data ? (const char *)h.value.data : "", h.value.len);
		lua_rawset(L, -3);
	}
}

static void push_record(lua_State *L, struct driver *d, const struct segment *s,
			const struct record *r)
{
	enum serde key, value;

	topic_serdes(d, topic_name(s->topic), &key, &value);
	lua_createtable(L, 0, 6);
	push_decoded(L, d, key, r->key);
	lua_setfield(L, -2, "key");
	push_decoded(L, d, value, r->value);
	lua_setfield(L, -2, "value");
	push_headers(L, r->headers);
	lua_setfield(L, -2, "headers");
	lua_pushinteger(L, r->timestamp);
	lua_setfield(L, -2, "timestamp");
	lua_pushinteger(L, partition_index(s->partition));
	lua_setfield(L, -2, "partition");
	lua_pushinteger(L, r->offset);
	lua_setfield(L, -2, "offset");
}

/* The first record of the chunk from s->next on, copied into the arena; false: none before s->end. */
static bool find_record(struct driver *d, struct slice bytes, const struct segment *s,
			struct record *out)
{
	struct record_iter it;
	struct batch b;

	while (bytes.len > 0 && batch_peek(bytes, &b) == ERR_NONE) {
		if (!batch_is_control(&b) && batch_last_offset(&b) >= s->next &&
		    record_iter_init(&it, &b, RECORD_MAX, &d->scratch) == ERR_NONE) {
			while (record_iter_next(&it, out) == 1) {
				if (out->offset >= s->next)
					return out->offset < s->end;
			}
		}
		bytes = slice_of(bytes.data + b.bytes.len, bytes.len - b.bytes.len);
	}
	return false;
}

static struct slice keep(struct driver *d, struct slice bytes)
{
	if (!bytes.data)
		return bytes;
	return slice_of(arena_copy(&d->arena, bytes.data, bytes.len), bytes.len);
}

/* Reads the next record of the segment; false: there is none left in it. */
static bool next_record(lua_State *L, struct driver *d, const struct segment *s, struct record *out)
{
	struct reader *reader = reader_new(s->partition);
	struct chunk chunk;
	struct ks_why why = {""};
	enum ks_err err = reader_read(reader, s->next, READ_BYTES, &chunk, &why);
	bool found = false;

	if (!err) {
		found = find_record(d, chunk.bytes, s, out);
		if (found) {
			out->key = keep(d, out->key);
			out->value = keep(d, out->value);
			out->headers = keep(d, out->headers);
		}
		chunk_fini(&chunk);
	}
	reader_free(reader);
	if (err && err != ERR_EMPTY)
		raise_why(L, &why);
	return found;
}

static void drop_segment(struct driver *d, size_t i)
{
	memmove(&d->segments[i], &d->segments[i + 1],
		(d->segment_count - i - 1) * sizeof *d->segments);
	d->segment_count--;
}

/* t:take(topic) -> the oldest record that was not taken yet, or nil */
static int driver_take(lua_State *L)
{
	struct driver *d = check_driver(L);
	struct topic *t = find_topic(L, d, 2);
	size_t i = 0;

	while (t && i < d->segment_count) {
		struct segment *s = &d->segments[i];
		struct record r;

		if (s->topic != t) {
			i++;
		} else if (next_record(L, d, s, &r)) {
			s->next = r.offset + 1;
			push_record(L, d, s, &r);
			return 1;
		} else {
			drop_segment(d, i);
		}
	}
	lua_pushnil(L);
	return 1;
}

/* --- time and state --- */

/* t:advance(ms) -> the new time */
static int driver_advance(lua_State *L)
{
	struct driver *d = check_driver(L);
	lua_Integer ms = luaL_checkinteger(L, 2);

	luaL_argcheck(L, ms >= 0, 2, "time does not go back");
	d->now_ms += ms;
	pump(L, d);
	lua_pushinteger(L, d->now_ms);
	return 1;
}

static int driver_clock(lua_State *L)
{
	lua_pushinteger(L, check_driver(L)->now_ms);
	return 1;
}

struct entries {
	struct driver *d;
	struct datum *data; /* key, value, key, value, ... */
	size_t count, cap;
};

/* Called by the engine: only copies, as nothing may raise here. */
static void add_entry(void *cookie, const struct datum *key, const struct datum *value)
{
	struct entries *e = cookie;

	if (e->count + 2 > e->cap) {
		size_t cap = e->cap ? 2 * e->cap : 64;
		struct datum *data = arena_alloc(&e->d->arena, cap * sizeof *data);

		if (e->count > 0)
			memcpy(data, e->data, e->count * sizeof *data);
		e->data = data;
		e->cap = cap;
	}
	e->data[e->count] = *key;
	e->data[e->count + 1] = *value;
	for (size_t i = e->count; i < e->count + 2; i++) {
		e->data[i].bytes = keep(e->d, e->data[i].bytes);
		e->data[i].doc = NULL;
	}
	e->count += 2;
}

/* t:state(name) -> { [key] = value } over all partitions; keys that are documents come as their text */
static int driver_state(lua_State *L)
{
	struct driver *d = check_driver(L);
	struct entries e = {.d = d};
	struct ks_why why = {""};

	if (engine_state_scan(d->engine, luaL_checkstring(L, 2), add_entry, &e, &why) != ERR_NONE)
		return raise_why(L, &why);
	lua_newtable(L);
	for (size_t i = 0; i < e.count; i += 2) {
		if (e.data[i].kind == DATUM_JSON)
			e.data[i].kind = DATUM_STRING;
		if (script_push_datum(L, &d->context, &e.data[i], &why) != ERR_NONE ||
		    script_push_datum(L, &d->context, &e.data[i + 1], &why) != ERR_NONE)
			return raise_why(L, &why);
		test_push_plain(L, -1);
		lua_remove(L, -2);
		lua_rawset(L, -3);
	}
	return 1;
}

static int driver_close(lua_State *L)
{
	driver_fini(luaL_checkudata(L, 1, DRIVER_META));
	return 0;
}

void test_driver_push(lua_State *L)
{
	static const luaL_Reg methods[] = {{"send", driver_send},
					   {"take", driver_take},
					   {"advance", driver_advance},
					   {"clock", driver_clock},
					   {"state", driver_state},
					   {"close", driver_close},
					   {NULL, NULL}};
	static const luaL_Reg module[] = {{"driver", driver_new}, {NULL, NULL}};

	luaL_newmetatable(L, DRIVER_META);
	luaL_newlib(L, methods);
	lua_setfield(L, -2, "__index");
	lua_pushcfunction(L, driver_gc);
	lua_setfield(L, -2, "__gc");
	lua_pushliteral(L, DRIVER_META);
	lua_setfield(L, -2, "__metatable");
	lua_pop(L, 1);
	luaL_newlib(L, module);
}

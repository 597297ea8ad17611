/* sandbox.c - making sandboxes; their memory and their budget.
 *
 * How a script is stopped. The count hook looks at the clock every 1000 instructions - from the first
 * one on, or, when the sandbox is watched, from the first tick on (watch.h); C functions
 * that may work for long charge for it and look too; so does the allocator, for large blocks and
 * when the collector keeps failing to make room. Whoever finds the time over sets s->stop. From
 * then on every instruction of the script raises again (the hook's count becomes 1), and pcall and
 * resume pass the error on. The allocator cannot raise: it refuses, which Lua turns into an error.
 */
#include "lua/state.h"

#include <assert.h>
#include <lauxlib.h>
#include <stdlib.h>
#include <time.h>

#include "lua/watch.h"

#define UNWINDING_MAX_BYTES 4096       /* one block, once stopped */
#define UNWINDING_RESERVE   (1u << 20) /* in all, beyond the cap */
#define LARGE_BLOCK         1024       /* whose copying is charged */
#define DOCUMENTS_LEAST     (1u << 20)
#define DEADLINE_UNSET      INT64_MAX
#define SCRATCH_KEPT        (1u << 20)
#ifdef __SANITIZE_ADDRESS__
#define HEAP_ONLY_MALLOC true
#else
#define HEAP_ONLY_MALLOC false
#endif
/* ThreadSanitizer holds signals back until a thread calls something it knows; a loop in Lua never does. */
#ifdef __SANITIZE_THREAD__
#define CAN_WATCH false
#else
#define CAN_WATCH true
#endif

static int64_t now_ns(const struct sandbox *s)
{
	return clock_monotonic_ns(s->clock);
}

static int64_t cpu_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* A script has not had the time in which its thread did not run: on a busy machine, or stopped, it would be the record
 * that fails. Real time is cheap to read, so it says when to ask for the other. */
static int64_t left_ns(const struct sandbox *s)
{
	return s->clock == &clock_real ? s->cpu_deadline_ns - cpu_ns() : 0;
}

void sandbox_look(struct sandbox *s)
{
	int64_t budget_ns = s->budget_ms * 1000000;

	s->work = 0;
	if (s->depth == 0 || s->stop)
		return;
	int64_t now = now_ns(s);
	if (s->deadline_ns == DEADLINE_UNSET) {
		s->deadline_ns = now + budget_ns;
		s->cpu_deadline_ns = cpu_ns() + budget_ns;
	} else if (now >= s->deadline_ns) {
		int64_t left = left_ns(s);
		if (left <= 0)
			s->stop = STOP_TIME;
		else
			s->deadline_ns = now + left;
	}
}

static void on_count(lua_State *L, lua_Debug *ar)
{
	(void)ar;
	struct sandbox *s = sandbox_of(L);
	if (!s->stop) {
		s->instructions += SANDBOX_HOOK_INTERVAL;
		sandbox_look(s);
		if (s->instructions_max && s->instructions >= s->instructions_max)
			s->stop = STOP_TIME;
	}
	if (!s->stop)
		return;
	lua_sethook(L, on_count, LUA_MASKCOUNT, 1);
	sandbox_raise_stop(L);
}

void sandbox_arm(struct sandbox *s)
{
	int count = s->stop ? 1 : SANDBOX_HOOK_INTERVAL;
	s->is_armed = 1;
	/* Setting it walks all frames of the state, which may be a great many: not at every tick. */
	if (lua_gethook(s->current) != on_count || lua_gethookcount(s->current) > count)
		lua_sethook(s->current, on_count, LUA_MASKCOUNT, count);
}

void sandbox_switch(struct sandbox *s, lua_State *L)
{
	s->current = L;
	if (s->is_armed) /* a tick from now on finds L */
		sandbox_arm(s);
}

int sandbox_raise_stop(lua_State *L)
{
	struct sandbox *s = sandbox_of(L);
	if (s->watches) /* what runs on the way out is counted, too */
		sandbox_arm(s);
	/* sandbox_fail has the words for the user; this is what a __close sees. */
	lua_pushstring(L, s->stop == STOP_MEMORY ? "out of memory" : "out of time");
	return lua_error(L);
}

void sandbox_charge(lua_State *L, size_t work)
{
	charge(L, work);
}

static void hook_always(struct sandbox *s)
{
	if (lua_gethook(s->L) != on_count || lua_gethookcount(s->L) != SANDBOX_HOOK_INTERVAL)
		lua_sethook(s->L, on_count, LUA_MASKCOUNT, SANDBOX_HOOK_INTERVAL);
}

static void begin(struct sandbox *s)
{
	s->stop = STOP_NONE;
	s->instructions = 0;
	s->work = 0;
	s->captured = false;
	/* Most calls end before the first look, which starts the time: they never read the clock. */
	s->deadline_ns = DEADLINE_UNSET;
	s->current = s->L;
	if (!s->watches) {
		hook_always(s);
		return;
	}
	s->outer = watch_running();
	if (!watch_begin(s)) {
		s->watches = false;
		hook_always(s);
	}
}

lua_State *sandbox_enter(struct sandbox *s)
{
	lua_State *before = s->current;
	if (s->depth++ == 0)
		begin(s);
	else
		sandbox_switch(s, s->L); /* a function that a coroutine called may have led here */
	return before;
}

void sandbox_leave(struct sandbox *s, lua_State *before)
{
	assert(s->depth > 0);
	if (--s->depth > 0) {
		sandbox_switch(s, before);
		return;
	}
	if (!s->watches)
		return;
	watch_end(s->outer);
	if (s->is_armed) {
		lua_sethook(s->L, NULL, 0, 0);
		s->is_armed = 0;
	}
}

/* Whether the heap may grow by so much. */
static bool may_grow(struct sandbox *s, size_t more)
{
	if (s->depth == 0)
		return true;
	if (!s->stop && more >= LARGE_BLOCK) {
		s->work += more / 8;
		if (s->work >= SANDBOX_WORK_PER_LOOK)
			sandbox_look(s);
	}
	if (s->stop)
		return more <= UNWINDING_MAX_BYTES &&
		       s->memory + more <= s->memory_max + UNWINDING_RESERVE;
	if (s->memory + more <= s->memory_max)
		return true;
	sandbox_look(s); /* the collector runs now, and perhaps again and again */
	return false;
}

static void *allocate(void *self, void *p, size_t old, size_t size)
{
	struct sandbox *s = self;
	if (!p)
		old = 0; /* then it says what the block is for */
	if (size == 0) {
		heap_free(&s->heap, p, old);
		s->memory -= old;
		return NULL;
	}
	if (size > old && !may_grow(s, size - old))
		return NULL;
	void *q = heap_realloc(&s->heap, p, old, size);
	if (!q)
		return size <= old ? p : NULL; /* Lua counts on shrinking */
	s->memory = s->memory - old + size;
	return q;
}

void sandbox_scratch_done(struct sandbox *s)
{
	buf_clear(&s->scratch);
	if (s->scratch.cap > SCRATCH_KEPT)
		buf_fini(&s->scratch);
	keys_shrink(&s->keys);
}

struct sandbox *sandbox_new(const struct sandbox_options *options)
{
	static const struct sandbox_options none;
	const struct sandbox_options *o = options ? options : &none;
	struct sandbox *s = xcalloc(1, sizeof *s);

	s->memory_max = o->memory_max ? o->memory_max : SANDBOX_MEMORY_DEFAULT;
	s->documents_max = s->memory_max > DOCUMENTS_LEAST ? s->memory_max : DOCUMENTS_LEAST;
	s->budget_ms = o->budget_ms ? o->budget_ms : SANDBOX_BUDGET_MS;
	s->instructions_max = o->instructions_max;
	s->clock = o->clock ? o->clock : &clock_real;
	s->watches = o->watch && CAN_WATCH && !o->clock && !o->instructions_max;
	s->module_dir = o->module_dir ? xasprintf("%s/", o->module_dir) : NULL;
	s->print = o->print;
	s->print_self = o->print_self;
	s->heap.only_malloc = HEAP_ONLY_MALLOC;
	s->L = lua_newstate(allocate, s);
	assert(s->L);
	*(struct sandbox **)lua_getextraspace(s->L) = s;
	sandbox_env_init(s);
	value_init(s);
	assert(lua_gettop(s->L) == 0);
	return s;
}

void sandbox_free(struct sandbox *s)
{
	if (!s)
		return;
	lua_close(s->L);
	assert(s->memory == 0);
	heap_fini(&s->heap);
	buf_fini(&s->traceback);
	buf_fini(&s->scratch);
	keys_fini(&s->keys);
	free(s->folder);
	free(s->module_dir);
	free(s);
}

lua_State *sandbox_state(struct sandbox *s)
{
	return s->L;
}

struct sandbox *sandbox_of(lua_State *L)
{
	return *(struct sandbox **)lua_getextraspace(L);
}

size_t sandbox_memory(const struct sandbox *s)
{
	return s->memory;
}

void sandbox_set_budget(struct sandbox *s, int64_t budget_ms)
{
	s->budget_ms = budget_ms;
}

void sandbox_set_seed(struct sandbox *s, uint64_t seed)
{
	s->seed = seed;
	s->random_ready = false;
}

void sandbox_preload(struct sandbox *s, const char *name)
{
	sandbox_push_ref(s->L, s->loaded_ref);
	lua_insert(s->L, -2);
	lua_setfield(s->L, -2, name);
	lua_pop(s->L, 1);
}

void sandbox_set_global(struct sandbox *s, const char *name)
{
	sandbox_push_ref(s->L, s->globals_ref);
	lua_pushstring(s->L, name);
	lua_rotate(s->L, -3, -1);
	lua_rawset(s->L, -3);
	lua_pop(s->L, 1);
}

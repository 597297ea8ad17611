/* state.h - what the files of this folder share of a sandbox. */
#ifndef LUA_STATE_H
#define LUA_STATE_H

#include <signal.h>

#include "lua/heap.h"
#include "lua/keys.h"
#include "lua/memo.h"
#include "lua/sandbox.h"

enum sandbox_stop { STOP_NONE, STOP_TIME, STOP_MEMORY };

#define SANDBOX_HOOK_INTERVAL 1000      /* instructions */
#define SANDBOX_WORK_PER_LOOK (1 << 16) /* charged work between two looks at the clock */

struct sandbox {
	lua_State *L;

	/* the budget of the running call */
	int depth;               /* of nested sandbox_calls; 0: no script runs */
	enum sandbox_stop stop;  /* once set, nothing of the script goes on */
	int64_t deadline_ns;     /* of the clock */
	int64_t cpu_deadline_ns; /* of the thread's CPU time */
	uint64_t instructions;
	size_t work; /* charged since the clock was last read */

	/* when the hook is set only once a tick met the call (watch.h); read by a signal handler of this thread */
	bool watches;
	volatile sig_atomic_t is_armed;
	lua_State *volatile current; /* what runs: the main state or a coroutine */
	struct sandbox *outer;       /* that the thread ran before */

	/* the limits */
	const struct clock *clock;
	int64_t budget_ms;
	uint64_t instructions_max;
	size_t memory;
	size_t memory_max;
	struct heap heap;
	size_t documents_max; /* bytes of the arena of a document that a script edits */

	/* the error on its way: caught where it was raised, before the stack unwinds */
	bool captured;
	char where[512];
	struct buf traceback;

	/* scripts */
	char *folder; /* of the script, for require */
	char *module_dir;
	void (*print)(void *self, const char *text, size_t len);
	void *print_self;
	uint64_t seed;
	uint64_t random[4];
	bool random_ready;

	/* references into the registry */
	int globals_ref;
	int env_ref;
	int loaded_ref;
	int loading_ref;
	int chunks_ref;       /* short_src -> name */
	struct memo programs; /* of patterns */
	struct memo paths;

	/* values */
	uint64_t generation;
	struct view *root; /* the view of a whole document that was made last; NULL: none yet */
	int root_ref;      /* keeps it */
	int null_ref;
	int view_ref; /* metatables */
	int big_ref;
	int array_ref;
	const void *null; /* the same as addresses, to compare */
	const void *view_meta;
	const void *big_meta;
	const void *array_meta;
	struct buf scratch; /* empty between calls; never kept while a script runs */
	struct keys keys;
};

/* Raises for s->stop; where: the innermost script frame of L. */
int sandbox_raise_stop(lua_State *L);
/* Reads the clock; sets s->stop if the time is over. */
void sandbox_look(struct sandbox *s);
/* Remembers where L's error came from; its traceback begins at level. */
void sandbox_capture(struct sandbox *s, lua_State *L, int level);
/* Sees in the status and error, on top of L, of a failed call whether memory ran out; sets s->stop.
 */
void sandbox_note_memory(struct sandbox *s, lua_State *L, int status);
/* lua_pcall's message handler. */
int sandbox_on_error(lua_State *L);
/* Begins and ends a stretch in which memory and time count. Enter returns what leave is given. */
lua_State *sandbox_enter(struct sandbox *s);
void sandbox_leave(struct sandbox *s, lua_State *before);
/* The call that runs is counted from now on; safe in a signal handler of its thread. */
void sandbox_arm(struct sandbox *s);
/* Another state runs from now on: a coroutine, or who resumed it. */
void sandbox_switch(struct sandbox *s, lua_State *L);
/* Pops the error of a failed call and fills e. */
enum ks_err sandbox_fail(struct sandbox *s, int status, struct sandbox_error *e);
/* Empties the scratch buffer, gives back what a rare large text took. */
void sandbox_scratch_done(struct sandbox *s);

/* Pushes registry[ref]. */
static inline void sandbox_push_ref(lua_State *L, int ref)
{
	lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
}

/* sandbox_charge, inline. */
static inline void charge(lua_State *L, size_t work)
{
	struct sandbox *s = *(struct sandbox **)lua_getextraspace(L);
	s->work += work;
	if (s->work < SANDBOX_WORK_PER_LOOK)
		return;
	sandbox_look(s);
	if (s->stop)
		sandbox_raise_stop(L);
}

void sandbox_env_init(struct sandbox *s);
/* The functions of the allow-list that are our own, added to the table on top. */
void sandbox_open_call(lua_State *L); /* pcall, xpcall */
void sandbox_open_load(lua_State *L); /* load, require */
void sandbox_open_base(lua_State *L); /* the other globals */
void sandbox_open_coroutine(lua_State *L);
void sandbox_open_string(lua_State *L);
void sandbox_open_find(lua_State *L);
void sandbox_open_math(lua_State *L);
void sandbox_open_table(lua_State *L);
void sandbox_open_utf8(lua_State *L);
/* Replaces the function field of the table on top by one that charges for the size of its
 * arguments. */
void sandbox_charge_field(lua_State *L, const char *field);
/* Pushes an iterator over the table at index, sorted; it does not give the table away. */
void sandbox_push_sorted(lua_State *L, int index);

void value_init(struct sandbox *s);

#endif

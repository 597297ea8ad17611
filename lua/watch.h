/* watch.h - a tick that comes to a thread while it runs a script.
 *
 * With a count hook Lua looks at every instruction whether it is due, which costs a tenth of a job's processor time.
 * A watched sandbox runs without one: each WATCH_TICK_MS a timer sends SIGURG to the thread, whose handler sets the
 * hook of the call it meets. So a call that ends before costs nothing more, and one that does not end is counted from
 * the first tick on. lua_sethook is the one function of Lua that may be called from a signal handler.
 *
 * The timer is the thread's; it is made at the first call, stops by itself when a whole tick passes without a call,
 * and goes with the thread. System calls go on after the signal (SA_RESTART), but for those that never do: sleep, poll.
 */
#ifndef LUA_WATCH_H
#define LUA_WATCH_H

#include <stdbool.h>

#define WATCH_TICK_MS 20

struct sandbox;

/* From now on this thread runs s: ticks call sandbox_arm(s). false: there is no timer to be had, or somebody else has
 * taken SIGURG; then nothing has changed. */
bool watch_begin(struct sandbox *s);
/* The thread runs before again, what watch_running said; NULL: no watched sandbox. */
void watch_end(struct sandbox *before);
struct sandbox *watch_running(void);

#endif

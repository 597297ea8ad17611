/* signals.h - SIGTERM and SIGINT: the first asks to stop, the second quits hard with exit code 1.
 *
 * A thread of its own takes the signals, so the callback may lock and allocate. Verbs that do not
 * call signals_start keep the default: they die at the first one.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* Blocks both signals for this thread and those it starts later. Call it before any thread starts.
 */
void signals_start(void);
/* Runs wake once, on the signals' thread, when the first signal arrives, or at once when it has
 * arrived. NULL takes it back: when this returns wake does not run and will not. */
void signals_on_stop(void (*wake)(void *cookie), void *cookie);
/* True once a stop was asked for. Any thread. */
bool signals_stop_asked(void);
/* Becomes readable when a stop was asked for, for poll(); -1 before signals_start. */
int signals_fd(void);

#endif

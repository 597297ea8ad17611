/* workers.h - threads for what must not run on a loop: reads of the disk, long validation, changes that are waited for.
 *
 * Threads are made when there is more to do than threads are free, up to a bound, and stay. Jobs begin in the
 * order in which they came.
 */
#ifndef SERVER_WORKERS_H
#define SERVER_WORKERS_H

#include <stdbool.h>

struct workers;

struct job {
	struct job *next;
	void (*run)(struct job *j);
};

struct workers *workers_new(int threads_max);
/* Carries out what is queued, then ends; w may be NULL. */
void workers_free(struct workers *w);
/* From any thread. j stays alive until it has run. */
void workers_submit(struct workers *w, struct job *j);
/* Whether the calling thread is one of any struct workers. */
bool workers_is_current(void);

#endif

/* sched.h - what a thread asks of the kernel's scheduler. */
#ifndef BASE_SCHED_H
#define BASE_SCHED_H

/* The calling thread runs briefly and often, and others wait for it: on a busy machine it would rather be let in soon than run
 * for long. It gets no more of the processor than before, and no privilege is needed. Linux 6.12 and newer heed it; older
 * ones, and a thread that has a real-time policy or one for batches, stay as they are. */
void sched_run_briefly(void);

#endif

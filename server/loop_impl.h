/* loop_impl.h - what connections tell their loop. */
#ifndef SERVER_LOOP_IMPL_H
#define SERVER_LOOP_IMPL_H

#include "server/loop.h"

/* A connection came into one of the lists of the loop. */
void loop_watch_silence(struct loop *l);

/* Somebody has begun to wait for memory. */
void loop_watch_shortage(struct loop *l);
void loop_init_shortage(struct loop *l);

#endif

/* loop_impl.h - what connections tell their loop. */
#ifndef SERVER_LOOP_IMPL_H
#define SERVER_LOOP_IMPL_H

#include "server/loop.h"

/* A connection came into one of the lists of the loop. */
void loop_watch_silence(struct loop *l);

#endif

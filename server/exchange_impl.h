/* exchange_impl.h - what the connection knows of its exchanges, beyond exchange.h. Loop's thread. */
#ifndef SERVER_EXCHANGE_IMPL_H
#define SERVER_EXCHANGE_IMPL_H

#include "server/exchange.h"

struct loop;

/* A whole request has come: takes the frame, whose memory is charged. What is no request becomes an exchange that ends the
 * connection in its turn. */
struct exchange *exchange_new(struct connection *c, struct frame *frame);
/* Ends the connection when all answers before it are out. */
struct exchange *exchange_new_refusal(struct connection *c, const char *why);
/* Decodes the request and runs its handler. */
void exchange_start(struct exchange *x);
void exchange_free(struct exchange *x);
/* What was taken for its answer beforehand. */
void exchange_give_room(struct exchange *x);
void exchange_free_spares(struct loop *l);

/* --- dispatch.c --- */

void dispatch(struct exchange *x);
/* The answer to a version of ApiVersions that we do not speak: in version 0, with the error. */
void dispatch_unknown_version(struct exchange *x);

#endif

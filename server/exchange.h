/* exchange.h - one request and its answer, and how a handler sees them.
 *
 * An exchange begins when a whole request has been read, and ends when its answer has been handed to the
 * socket. Everything it needs lives in its frame and its arena: the request's strings point into the frame,
 * arrays and all that the handler makes live in the arena.
 *
 * A handler starts on the thread of the connection's loop and must not block. It answers by filling the
 * response and calling exchange_reply, at once or later, from any thread, exactly once. Answers leave a
 * connection in the order in which the requests came, whatever order the handlers finish in. Handlers begin in
 * that order too, one after the other; what was handed to exchange_offload holds back the later requests of its
 * connection until work has returned, so that whatever goes to the shard goes there in order.
 *
 * The connection may die meanwhile: the exchange stays valid until the reply, which then goes nowhere.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "base/err.h"
#include "base/mem.h"
#include "server/letter.h"
#include "server/pool.h"
#include "server/workers.h"
#include "wire/api.h"

struct server;
struct connection;

struct exchange {
	/* immutable once the handler runs */
	struct server *server;
	struct connection *connection;
	const struct wire_api *api;
	struct request_header header;
	struct frame *
		frame; /* the request's bytes, without the length; handlers may stamp record batches in place */
	const void *request; /* struct <api>_request */
	int64_t received_ns; /* monotonic: when its last byte had come */

	/* the handler's, until exchange_reply */
	struct arena arena;
	void *response; /* struct <api>_response, all defaults */
	void *state;    /* whatever the handler wants to find again */
	/* The connection is gone or the server stops: a handler that waits for something should reply soon. Runs on the
	 * loop's thread, at most once. May be NULL. */
	void (*cancel)(struct exchange *x);
	/* Runs once when the response has been encoded, or will never be: releases what the handler lent to it. May be NULL. */
	void (*after)(struct exchange *x);

	/* the connection's; owner: loop */
	struct exchange *next;
	struct slice body; /* the request behind its header */
	struct wire_out out;
	size_t sent_bytes;    /* of out */
	size_t charged_bytes; /* of the request memory */
	size_t lent_bytes; /* of the answer memory, until the answer has been sent; the handler's doing */
	size_t room_bytes; /* of the answer memory, until the answer is there; connection_room.c */
	bool is_started, is_answered, is_offloaded;

	/* set by whoever replies, before the loop hears of it */
	bool is_encoded, is_silent, is_aborted;
	char *complaint;
	const char *refusal; /* static: it is no request, and this is why */

	/* exchange_memory.c */
	struct pool *memory_pool;
	struct pool_waiter memory;
	size_t memory_bytes; /* taken from the pool */

	struct letter reply_letter, offload_letter, post_letter, memory_letter;
	void (*posted)(struct exchange *x);
	struct job job;
	void (*work)(struct exchange *x);
	void (*back)(struct exchange *x);
};

/* The answer is complete. The response is encoded on the calling thread when that is the loop's or a worker, on the loop's
 * when it is any other (the shard has better things to do). */
void exchange_reply(struct exchange *x);
/* There is no answer: Produce with acks 0. */
void exchange_finish_silently(struct exchange *x);
/* The request cannot be answered in its own terms: the connection is closed once the answers before this one are out. why is
 * copied and logged. */
void exchange_abort(struct exchange *x, const char *why);
/* Carries on with work(x) on a worker thread, which may block on the store or the shard. work replies. */
void exchange_offload(struct exchange *x, void (*work)(struct exchange *x));
/* The same, and when work has returned, which does not reply, carries on with back(x) on the loop's thread. */
void exchange_offload_and_return(struct exchange *x, void (*work)(struct exchange *x),
				 void (*back)(struct exchange *x));
/* As exchange_offload, for work that only computes: it never waits behind a slow disk. */
void exchange_offload_compute(struct exchange *x, void (*work)(struct exchange *x));
/* The same, once it has so many bytes of the pool; until then it stands in line, and the later requests of its connection wait as
 * if the work had begun. They are given back when x is answered. On the loop's thread; x->cancel is taken. */
void exchange_offload_with(struct exchange *x, struct pool *pool, size_t bytes,
			   void (*work)(struct exchange *x));
/* Of those it needs so many, fewer or more. Within work. */
void exchange_keep_memory(struct exchange *x, size_t bytes);
/* Carries on with posted(x) on the loop's thread. From any thread; one at a time. */
void exchange_post(struct exchange *x, void (*posted)(struct exchange *x));

/* Counts what the exchange holds as memory of requests, beyond the bound if need be: others wait then. For those that make much
 * of a small request, or wait for long. Loop's thread, while nobody else works on it. */
void exchange_charge(struct exchange *x);

/* Zeroed memory of the exchange. */
void *exchange_alloc(struct exchange *x, size_t count, size_t size);
struct slice exchange_printf(struct exchange *x, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* Where the peer is told to find this broker: as the listener it came through is advertised. Borrowed, for as long as the
 * exchange lives. */
struct slice exchange_host(const struct exchange *x);
int32_t exchange_port(const struct exchange *x);
/* The peer's address, "/127.0.0.1", as Kafka writes it into the description of a group. */
const char *exchange_peer(const struct exchange *x);

#endif

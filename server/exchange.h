/* exchange.h - one request and its answer, and how a handler sees them.
 *
 * An exchange begins when a whole request has been read and decoded, and ends when its answer has been
 * handed to the socket. Everything it needs lives in its frame and its arena: the request's strings point
 * into the frame, arrays and all that the handler makes live in the arena.
 *
 * A handler starts on the thread of the connection's loop and must not block. It answers by filling the
 * response and calling exchange_reply, at once or later, from any thread, exactly once. Answers leave a
 * connection in the order in which the requests came, whatever order the handlers finish in. The
 * connection may die meanwhile: the exchange stays valid until the reply, which then goes nowhere.
 */
#ifndef SERVER_EXCHANGE_H
#define SERVER_EXCHANGE_H

#include "base/err.h"
#include "base/mem.h"
#include "wire/api.h"

struct server;
struct connection;

struct exchange {
	/* immutable once the handler runs */
	struct server *server;
	struct connection *connection;
	const struct wire_api *api;
	struct request_header header;
	struct frame *frame;   /* the request's bytes, without the length; handlers may stamp record batches in place */
	const void *request;   /* struct <api>_request */
	int64_t received_ns;   /* monotonic: when its last byte had come */

	/* the handler's, until exchange_reply */
	struct arena arena;
	void *response;        /* struct <api>_response, all defaults */
	void *state;           /* whatever the handler wants to find again */

	/* the connection's */
	struct exchange *next;
	struct wire_out out;
	bool is_answered;
};

/* The answer is complete: the response is encoded on the calling thread and queued on the loop. */
void exchange_reply(struct exchange *x);
/* There is no answer: Produce with acks 0. */
void exchange_finish_silently(struct exchange *x);
/* The request cannot be answered in its own terms: the connection is closed once the answers before this one are out. why
 * is logged. */
void exchange_abort(struct exchange *x, const char *why);
/* Carries on with work(x) on a worker thread, which may block. work replies. */
void exchange_offload(struct exchange *x, void (*work)(struct exchange *x));

/* Zeroed memory of the exchange. */
void *exchange_alloc(struct exchange *x, size_t count, size_t size);
struct slice exchange_printf(struct exchange *x, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

#endif

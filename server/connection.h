/* connection.h - one socket: frames in, answers out, in order.
 *
 *   socket --read--> frame --whole--> exchange --handler--> answered --write--> socket
 *             |                         |
 *             stops while memory        at most so many, and so many bytes, are under way:
 *             is short                  otherwise the socket is not read
 *
 * Belongs to its loop's thread.
 */
#ifndef SERVER_CONNECTION_H
#define SERVER_CONNECTION_H

#include <netinet/in.h>
#include <sys/queue.h>
#include <uv.h>

#include "server/gone_topics.h"
#include "server/exchange.h"
#include "server/pool.h"

struct endpoint;
struct loop;

struct connection {
	/* immutable */
	struct loop *loop;
	int fd;
	const struct endpoint *endpoint; /* where it came in */
	struct in6_addr ip;
	uint64_t order;      /* of its acceptance: from 1 on, no two are equal */
	char peer[64];       /* "/127.0.0.1" */
	char local_host[64]; /* the address at which the peer reached us */
	char client_id[64];  /* of its first request; cut when longer */

	uv_poll_t poll;
	int watched; /* UV_READABLE, UV_WRITABLE, UV_DISCONNECT: what poll waits for */

	/* connection_read.c */
	uint8_t length[4];
	unsigned length_have;
	struct frame *frame;       /* under way */
	size_t frame_need;         /* its final length */
	struct pool_waiter memory; /* what the frame needs to begin or to grow */
	struct letter memory_letter;
	bool is_short_of_memory; /* the letter has not come */
	uint8_t *stash;          /* was read and could not be used yet */
	size_t stash_len;

	/* connection_room.c */
	size_t own_bytes; /* of answers that are not wholly sent, without the batches of Fetch */
	size_t counted_bytes;    /* of those, in the answer memory */
	struct pool_waiter room; /* what unstarted needs to begin */
	struct letter room_letter;
	bool is_short_of_room; /* the letter has not come */

	/* Requests in the order in which they came; unstarted: the first whose handler has not begun. */
	struct exchange *first, **last, *unstarted;
	int count, offloaded;
	size_t request_bytes, answer_bytes;
	uint64_t progress_bytes; /* ever read or written */
	uint64_t checked_bytes;  /* progress_bytes at checked_ms; 0: it held no memory */
	int64_t checked_ms;      /* when somebody last looked whether it is slow */

	bool has_spoken; /* a whole request has come */
	bool is_dirty;
	bool has_hung_up; /* the peer sends no more; it was not being read when it said so */
	bool is_ending;   /* nothing more is read; closes when all answers are out */
	bool is_cancelling;
	bool is_dead;   /* the socket is closed */
	bool is_closed; /* the handle is closed, too */

	struct gone_topics gone;

	int64_t last_sign_ms;
	TAILQ_ENTRY(connection) in_loop, in_dirty;
};

/* Takes the socket. */
void connection_open(struct loop *l, int fd, const struct endpoint *e, const struct in6_addr *ip,
		     uint64_t order);
/* Closes the socket now; its exchanges live until they are answered, and then it is freed. */
void connection_kill(struct connection *c);
/* The same, with a reason in the log, which has at most so many such lines in a second. */
void connection_refuse(struct connection *c, const char *why);
/* Nothing was heard of it for too long. May find that it merely waits. */
void connection_close_silent(struct connection *c);
/* Reads no more; tells handlers that wait, lets what is under way finish, then closes. */
void connection_drain(struct connection *c);
/* Memory is short: handlers that wait answer with what there is. */
void connection_hurry(struct connection *c);
/* Writes what can be written. */
void connection_flush(struct connection *c);

/* Polls the socket for what it now wants. */
void connection_watch(struct connection *c);
/* Memory that it waited for has come too late. */
void connection_freed_memory(struct connection *c);

/* --- connection_read.c --- */

/* Reads what the socket has, about. May kill it. */
void connection_read(struct connection *c);
/* Goes on with what was read and could not be used, now that there is room or memory. */
void connection_read_on(struct connection *c);
bool connection_has_room(const struct connection *c);
/* Whether what was read may go on to its handler; not while those before it hold too much, or too much waits to be sent. */
bool connection_may_start(const struct connection *c);
/* Whether its socket should be polled for reading. */
bool connection_wants_more(const struct connection *c);
void connection_read_init(struct connection *c);
/* Forgets the frame under way. */
void connection_read_stop(struct connection *c);

/* --- connection_room.c --- */

/* Whether x, the next to begin, has what room its answer needs; else it stands in line. */
bool connection_takes_room(struct connection *c, struct exchange *x);
void connection_counts_answer(struct connection *c, struct exchange *x);
void connection_forgets_answer(struct connection *c, const struct exchange *x);
void connection_room_init(struct connection *c);
/* It stands in line no longer. */
void connection_leave_room(struct connection *c);

/* --- for exchange.c --- */

void connection_answered(struct connection *c, struct exchange *x);
/* What was offloaded has come back. */
void connection_unblocked(struct connection *c, struct exchange *x);
void connection_add(struct connection *c, struct exchange *x);
/* So many bytes came or went. */
void connection_alive(struct connection *c, size_t bytes);

#endif

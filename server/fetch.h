/* fetch.h - one Fetch request under way: what its files share.
 *
 *   fetch.c          waiting, and the answer's moment
 *   fetch_plan.c     which partitions, by request or session; what the answer says
 *   fetch_unify.c    each partition once
 *   fetch_read.c     reading
 *   fetch_session.c  sessions
 */
#ifndef SERVER_FETCH_H
#define SERVER_FETCH_H

#include <stdatomic.h>

#include "server/exchange.h"
#include "server/fetch_session.h"
#include "server/pool.h"
#include "server/timers.h"

struct fetch_part {
	/* what is asked for */
	struct fetch_topic_key topic;
	struct partition *partition; /* NULL: it cannot be read, see err */
	int32_t index;
	int64_t offset;
	int32_t max_bytes;
	struct session_part *slot; /* in the session; valid while its epoch is the request's */

	/* what was read */
	enum ks_err err;
	int64_t high_watermark, log_start_offset, last_stable_offset;
	uint64_t position;     /* of the readable end before it was read */
	struct wire_ref *refs; /* each holds a reference */
	int32_t ref_count;
	size_t bytes;
	bool is_cut_short; /* the log went on behind what was read */
	struct fetch_response_aborted_transaction
		*aborted; /* that have something to do with refs */
	int32_t aborted_count;
};

enum fetch_state {
	FETCH_RUNNING, /* on the loop or on a worker */
	FETCH_PARKED,  /* waits for records */
	FETCH_STARVED, /* waits for memory */
	FETCH_ENDING,  /* waits for a letter that is on its way, then answers */
};

/* Owner: the loop; while a worker reads, the worker. */
struct fetch {
	struct exchange *x;
	struct fetch_part *parts;
	size_t count;

	/* session; NULL: none, or not yet */
	struct fetch_session *session;
	int32_t session_epoch; /* of this request's successor */
	bool is_incremental, wants_session, has_ended;
	size_t answered;   /* parts, from the first on, that the answer mentions */
	enum ks_err error; /* of the request as a whole */

	/* reading */
	bool is_committed;           /* as far as the last stable offset, else the high watermark */
	size_t bytes_max, bytes_min; /* what the consumer asks for, within our limits */
	size_t room;                 /* taken from the answer memory */
	size_t bytes, parked_bytes;  /* read; were read when it was parked */
	size_t readable;             /* parts that can be read at all */
	size_t next;                 /* part to be read */
	bool has_failed;

	/* waiting */
	enum fetch_state state;
	bool is_late;      /* max_wait has passed: whatever there is is the answer */
	bool is_cancelled; /* nobody waits for the answer */
	struct loop_timer timer;
	struct waiter *waiter;
	struct letter wake_letter, memory_letter;
	_Atomic(bool) is_wake_posted;
	struct pool_waiter memory;
};

/* Reads part after part until nothing more may be taken. Without may_block it stops in front of the first part that
 * needs the store, and returns false; then again with may_block, on a worker. */
bool fetch_read(struct fetch *f, bool may_block);
/* Whether a log goes on behind what was read of it: the limits are reached, and waiting would not give more. */
bool fetch_is_cut_short(const struct fetch *f);
/* Forgets what was read. */
void fetch_unread(struct fetch *f);
/* Whether reading would give anything, be it an error. Notes where the logs end. */
bool fetch_has_something(struct fetch *f);
/* Whether a topic was deleted since the parts were found. */
bool fetch_lost_topic(const struct fetch *f);
/* Bytes that came since then. */
uint64_t fetch_growth(const struct fetch *f);

/* Leaves each partition in the request once. */
void fetch_unify(struct fetch *f, struct fetch_request *request);
/* Finds the parts, by the request and its session; f->error says why there are none. */
void fetch_plan(struct fetch *f, const struct fetch_request *request);
/* Fills the response, and brings the session up to date. */
void fetch_answer(struct fetch *f);

#endif

/* fetcher.h - reads partitions from their leaders, many at once.
 *
 * A cursor is one partition; reading one never blocks: it gives what has come, and says what it
 * wants next. client_fetcher_wait asks every leader for all that its cursors want in one request,
 * which the broker holds until there is something, and returns as soon as any of them has answered.
 *
 * Only committed records are meant to be shown: batches of aborted transactions come along, marked.
 *
 * For one thread at a time; the cluster is used by the same thread.
 */
#ifndef CLIENT_FETCHER_H
#define CLIENT_FETCHER_H

#include "client/cluster.h"
#include "wire/batch.h"

struct client_fetcher;
struct client_cursor;

struct client_fetcher_options {
	bool is_read_uncommitted;
	size_t answer_bytes_max; /* 0: 16 MiB; of one answer, unless the first batch is larger */
	int min_bytes;           /* 0: 1; what a broker is to have before it answers */
	int max_wait_ms;         /* 0: 500; how long it may hold a request that finds less */
	const char *
		rack; /* NULL: none; brokers may name a nearer replica then; outlives the fetcher */
	int stop_fd;  /* once readable, waiting ends; 0: none */
};

/* The cluster outlives it; options are copied. */
struct client_fetcher *client_fetcher_new(struct client_cluster *cl,
					  const struct client_fetcher_options *options);
void client_fetcher_free(struct client_fetcher *f); /* after its cursors; may be NULL */

/* topic is copied. */
struct client_cursor *client_cursor_open(struct client_fetcher *f, const char *topic,
					 int32_t partition);
void client_cursor_close(struct client_cursor *c); /* may be NULL */

/* Whole batches from the one that holds offset on, about max_bytes of them. *frame: a reference,
 * the caller's to release, to what bytes lie in.
 *   ERR_EMPTY                nothing has come yet: wait
 *   ERR_OFFSET_OUT_OF_RANGE  as the leader says
 *   ERR_UNREACHABLE, ...     it was tried for a while */
enum ks_err client_cursor_read(struct client_cursor *c, int64_t offset, size_t max_bytes,
			       struct frame **frame, struct slice *bytes, struct ks_why *why);
/* Whether the batch, of what was read last, belongs to an aborted transaction. */
bool client_cursor_is_aborted(const struct client_cursor *c, const struct batch *b);

/* What the answer with the batches read last said. */
struct client_bounds {
	int64_t log_start_offset, last_stable_offset, high_watermark;
	int32_t node; /* who answered */
};
struct client_bounds client_cursor_bounds(const struct client_cursor *c);

/* Asks for what the cursors want and waits for answers, at most timeout_ms. */
void client_fetcher_wait(struct client_fetcher *f, int timeout_ms);

#endif

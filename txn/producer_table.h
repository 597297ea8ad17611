/* producer_table.h - every producer that a partition knows, in memory and in CF_TXN.
 *
 * A partition has a map of its producers by id; a list through all of them, in the order of their
 * newest append, tells who expires first. Who has a transaction open in the partition is not in that list, for it
 * must not expire, but in one of the partition, in the order in which the transactions began. The number of all is bounded.
 *
 * The shard's thread owns the table and alone changes it, under the lock; other threads look at it
 * through producer_map_list. It holds what is durable: a group works on copies (producer.h).
 */
#ifndef TXN_PRODUCER_TABLE_H
#define TXN_PRODUCER_TABLE_H

#include <sys/queue.h>

#include "store/store.h"
#include "txn/producer.h"

struct producer_table;

/* Of one partition. */
struct producer_map {
	uint32_t partition_id; /* immutable */
	/* shared, under the table's lock; written by the owner alone */
	uint32_t count, cap; /* cap: 0 or a power of two */
	struct producer **slots;

	/* owner: shard. Those with an open transaction, by its first offset. */
	TAILQ_HEAD(producer_open, producer) open;
};

struct producer_list {
	struct producer *oldest, *newest;
};

struct producer {
	/* immutable */
	int64_t id;
	struct producer_map *map;

	/* owner: shard */
	size_t pending; /* 1 + its place in the group under construction; 0: not in it */
	struct producer *older, *newer;
	struct producer_list *list; /* that it is in: of those that may expire, or of the others */
	TAILQ_ENTRY(producer) in_open;
	uint64_t txn_position; /* bytes of the partition's log before its open transaction */

	/* shared, under the table's lock; written by the owner alone */
	struct producer_state state; /* epoch -1: nothing of it is durable yet */
};

/* producers_max: of all partitions; producer_table_is_full tells when they are so many. */
struct producer_table *producer_table_new(size_t producers_max);
/* Before the maps; t may be NULL. */
void producer_table_free(struct producer_table *t);

void producer_map_init(struct producer_map *m, uint32_t partition_id);
void producer_map_fini(struct producer_map *m); /* its producers are the table's */

/* Reads all producers of the store. find gives the map of a partition; NULL: there is no such
 * partition any more, and what the store has of it is passed over. ERR_CORRUPTION: why names the
 * partition. */
enum ks_err producer_table_load(struct producer_table *t, struct store *s,
				struct producer_map *(*find)(void *arg, uint32_t partition_id),
				void *arg, struct ks_why *why);

/* --- owner's thread --- */

struct producer *producer_find(const struct producer_table *t, const struct producer_map *m,
			       int64_t id); /* NULL: unknown */
/* It is not there: adds it, unknown, as the newest. */
struct producer *producer_new(struct producer_table *t, struct producer_map *m, int64_t id);
/* What became durable; it is the newest now. */
void producer_set(struct producer_table *t, struct producer *p, const struct producer_state *s);
void producer_drop(struct producer_table *t, struct producer *p);
/* All of a partition, which is gone. */
void producer_map_drop(struct producer_table *t, struct producer_map *m);

bool producer_table_is_full(const struct producer_table *t);
/* Whose newest append is the oldest and who has no transaction open and is not in the group under construction; NULL:
 * none. */
struct producer *producer_oldest(const struct producer_table *t);

/* Whose open transaction began first in the partition; NULL: none is open. */
static inline struct producer *producer_map_first_open(const struct producer_map *m)
{
	return TAILQ_FIRST(&m->open);
}

/* As many have a transaction open as there may be producers: none of them can make room. */
bool producer_table_is_crowded(const struct producer_table *t);
/* Calls each with every producer that has a transaction open in some partition; false: none has. */
bool producer_table_each_open(const struct producer_table *t,
			      void (*each)(void *arg, const struct producer *p), void *arg);

/* --- any thread --- */

struct producer_copy {
	int64_t id;
	struct producer_state state;
};
/* All of a partition, by id; free() the array. */
struct producer_copy *producer_map_list(struct producer_table *t, const struct producer_map *m,
					size_t *count);

#endif

/* store.h - the one database: column families, atomic writes, iterators.
 *
 * Everything that must stay together is put into one struct store_write and committed at once.
 * There are two implementations behind one table of functions: rocks.c, the real one, and memory.c,
 * its twin for tests; tests/unit/store runs one suite over both.
 *
 * Threads: commits come from one thread, the shard's. Reads come from any thread. An iterator
 * belongs to the thread that uses it.
 *
 * Durability. A commit with sync on has reached the disk when it returns. The durable mark (mark.h)
 * remembers the newest sequence number that was acknowledged, so that a database that opens shorter
 * is refused (ERR_LOST_WRITES) rather than served. A storage error of a commit leaves its outcome
 * unknown: the store then refuses all further commits with the same error, and the process is
 * expected to stop and reopen.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

struct store;
struct store_write;
struct store_iter;

enum store_cf {
	CF_META,    /* format version, id counters */
	CF_LOG,     /* record batches; values in blob files */
	CF_INDEX,   /* timestamps to offsets */
	CF_OFFSETS, /* committed offsets of groups */
	CF_TXN,     /* producers and transactions */
	CF_GROUPS,
	CF_TOPICS,
	CF_JOBS,
	CF_STATE, /* state stores of jobs */
	CF_COUNT
};

struct store_options {
	size_t log_memtable_bytes; /* per memtable of CF_LOG; 0: default 32 MiB, with jobs 16 MiB */
	int log_memtables_max;     /* 0: 4, with jobs 3 */
	bool has_jobs;             /* their state is flushed when there is much of it, and not with the log; it needs memory too,
				    * and they read what is being written */
	size_t block_cache_bytes;  /* 0: default 32 MiB */
	bool create;               /* make the database when it is not there */
	bool accept_lost_writes;   /* open even below the durable mark: an operator's last resort */
	bool read_only;            /* nothing is written; the lock is not taken */
};

/* Opens or creates DIR (and DIR/lock, DIR/mark, DIR/db). On success *out owns the lock.
 *   ERR_LOCKED       another process holds it; why names its pid
 *   ERR_DATA_VERSION written by another version; why names both
 *   ERR_LOST_WRITES  acknowledged writes are missing; why says how many and what to do
 *   ERR_CORRUPTION, ERR_IO, ERR_NO_SPACE, ERR_NOT_FOUND (create is off) */
enum ks_err store_open(const char *dir, const struct store_options *options, struct store **out,
		       struct ks_why *why);
/* The in-memory twin; nothing touches a disk. */
struct store *store_open_memory(void);
/* Flushes and closes; s may be NULL. All iterators are gone before. */
void store_close(struct store *s);

/* --- writing: the shard's thread --- */

struct store_write *store_write_new(struct store *s);
void store_write_free(struct store_write *w); /* w may be NULL */
void store_put(struct store_write *w, enum store_cf cf, struct slice key, struct slice value);
/* The value is the concatenation of the parts. */
void store_putv(struct store_write *w, enum store_cf cf, struct slice key,
		const struct slice *parts, size_t count);
void store_delete(struct store_write *w, enum store_cf cf, struct slice key);
/* Deletes from <= key < to. */
void store_delete_range(struct store_write *w, enum store_cf cf, struct slice from,
			struct slice to);
/* Forgets what was put; the memory is kept. */
void store_write_clear(struct store_write *w);
size_t store_write_bytes(const struct store_write *w); /* keys and values */
size_t store_write_count(const struct store_write *w);

/* Writes w atomically and clears it for the next use, on failure too. sync: on disk before it
 * returns.
 *   ERR_NO_SPACE, ERR_IO, ERR_CORRUPTION  its outcome is unknown, nothing may be acknowledged, and
 *                                         every later commit fails with the same error */
enum ks_err store_commit(struct store *s, struct store_write *w, bool sync, struct ks_why *why);

/* Sequence number of the newest commit; grows with each. */
uint64_t store_sequence(struct store *s);

/* Moves the durable mark to the newest commit, and to the newest synced one: a pwrite of 96 bytes. The store syncs the
 * mark itself at most once a second, and at close. Call after a group commit, before its answers go
 * out. */
enum ks_err store_mark(struct store *s, struct ks_why *why);

/* --- reading: any thread --- */

/* Appends the value to out. ERR_NOT_FOUND, ERR_IO, ERR_CORRUPTION. */
enum ks_err store_get(struct store *s, enum store_cf cf, struct slice key, struct buf *out);

/* An iterator over lower <= key < upper (either may be null: open), a consistent view of the moment
 * it is made. Not positioned. Keep it no longer than a few seconds: it pins files. */
struct store_iter *store_iter_new(struct store *s, enum store_cf cf, struct slice lower,
				  struct slice upper);
void store_iter_free(struct store_iter *it);
void store_iter_seek(struct store_iter *it, struct slice key);          /* first key >= key */
void store_iter_seek_for_prev(struct store_iter *it, struct slice key); /* last key <= key */
void store_iter_first(struct store_iter *it);
void store_iter_last(struct store_iter *it);
bool store_iter_valid(const struct store_iter *it);
void store_iter_next(struct store_iter *it);
void store_iter_prev(struct store_iter *it);
struct slice store_iter_key(const struct store_iter *it);   /* until the iterator moves */
struct slice store_iter_value(const struct store_iter *it); /* until the iterator moves */
/* Ask after every scan: a scan that met an error merely looks short. */
enum ks_err store_iter_error(const struct store_iter *it, struct ks_why *why);

/* --- care --- */

/* Flushes memtables to files. */
enum ks_err store_flush(struct store *s, struct ks_why *why);
/* Gives back the space of deleted ranges of a column family: compacts it and collects blob garbage.
 * Any thread. */
enum ks_err store_reclaim(struct store *s, enum store_cf cf, struct ks_why *why);

struct store_stats {
	uint64_t live_bytes; /* files on disk, blobs and WAL included */
	uint64_t blob_bytes;
	uint64_t blob_garbage_bytes;
	uint64_t memtable_bytes;
	bool write_stopped; /* RocksDB holds writes back */
};
void store_stats(struct store *s, struct store_stats *out);

#endif

/* rocks.c - the store on RocksDB.
 *
 * Opening, each step a guard for the next:
 *
 *     DIR there? --> lock --> mark --> is DIR/db ours? --> RocksDB opens --> format --> mark <=
 * sequence NOT_FOUND     LOCKED    LOST_    DATA_VERSION        CORRUPTION       DATA_ LOST_WRITES
 *                             WRITES                                        VERSION
 *
 * Nothing of RocksDB is opened for writing before the families it holds are known to be ours.
 */
#include "store/store_impl.h"

#include "base/clock.h"
#include "base/log.h"
#include "store/flush_pace.h"
#include "store/lock.h"
#include "store/manifest_guard.h"
#include "store/mark.h"
#include "store/path.h"
#include "store/rocks_options.h"
#include "store/rocks_wal.h"
#include "store/wal_file.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <rocksdb/c.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* The version of everything below DIR. Raise it when an older ksrun must not open what we write. */
#define FORMAT_VERSION        2
#define FORMAT_KEY            "format"

/* The mark's own sync. A machine that goes down within this time of losing synced writes could lose
 * the mark of them as well. */
#define MARK_SYNC_INTERVAL_NS 1000000000

/* Blob files are collected when more than 1/3 of them is garbage: at worst two bytes are written for
 * one that is freed, and garbage takes at most half of what lives. */
#define RECLAIM_SHARE         3

/* A batch that grew larger is given back after its commit rather than kept. */
#define WRITE_KEEP_BYTES      (4u << 20)

struct rocks {
	struct store base;

	/* immutable after open */
	char *dir;
	int lock_fd; /* -1: read-only */
	bool read_only;
	rocksdb_t *db;
	rocksdb_column_family_handle_t *cf[CF_COUNT];
	struct rocks_options options;
	rocksdb_writeoptions_t *no_sync, *sync;
	rocksdb_readoptions_t *get;

	pthread_mutex_t reclaim_mtx; /* held while a family's blobs are collected */

	/* owner: the committing thread */
	struct mark *mark; /* NULL: read-only */
	uint64_t synced;   /* the sequence number up to which all is known to be on the disk */
	int64_t mark_synced_ns;
};

struct rocks_write {
	struct store_write base;
	const struct rocks *r;
	rocksdb_writebatch_t *batch;
	const char **part_data;
	size_t *part_len, parts_cap;
};

struct rocks_iter {
	struct store_iter base;
	const struct rocks *r;
	rocksdb_iterator_t *it;
	rocksdb_readoptions_t *options;
	uint8_t bounds[]; /* the lower, then the upper; RocksDB keeps pointing at them */
};

static struct rocks *rocks_of(struct store *s)
{
	return (struct rocks *)s;
}

static const char *chars(struct slice s)
{
	return s.data ? (const char *)s.data : "";
}

/* --- errors --- */

/* RocksDB's errors are sentences; these are the words by which it tells their kinds. Frees error.
 */
static enum ks_err rocks_fail(struct ks_why *why, const char *dir, const char *verb, char *error)
{
	enum ks_err err = ERR_IO;
	const char *fix = "see to the disk, then start again: acknowledged writes are kept";

	if (strstr(error, "No space left") || strstr(error, "Disk quota exceeded")) {
		err = ERR_NO_SPACE;
		fix = "free space on its file system, then start again: acknowledged writes are "
		      "kept";
	} else if (strncmp(error, "Corruption", 10) == 0) {
		err = ERR_CORRUPTION;
		fix = "restore the directory from a copy";
	} else if (strstr(error, "While lock file") || strstr(error, "lock hold by")) {
		err = ERR_LOCKED;
		fix = "another program has the database open; stop it";
	}
	ks_fail(why, err, "cannot %s %s/db: %s; %s", verb, dir, error, fix);
	rocksdb_free(error);
	return err;
}

/* --- opening --- */

/* Makes the directory when it may and must. Its name is durable before anything is in it: a
 * directory that a crash takes away whole would be made anew without a word. */
static enum ks_err make_dir(const char *path, bool create, struct ks_why *why)
{
	struct stat st;

	if (stat(path, &st) == 0) {
		if (!S_ISDIR(st.st_mode))
			return ks_fail(why, ERR_IO, "%s is not a directory", path);
		return ERR_NONE;
	}
	if (errno != ENOENT)
		return path_fail(why, "open", path);
	if (!create)
		return ks_fail(why, ERR_NOT_FOUND, "there is no data directory %s", path);
	if (mkdir(path, 0755))
		return path_fail(why, "create", path);
	char *parent = xasprintf("%s/..", path);
	enum ks_err err = path_sync_dir(parent, why);
	free(parent);
	return err;
}

/* What may not be looked into must not pass for empty. */
static enum ks_err check_rights(const char *dir, struct ks_why *why)
{
	char *db = xasprintf("%s/db", dir);
	enum ks_err err = ERR_NONE;

	if (access(dir, R_OK | X_OK))
		err = path_fail(why, "read", dir);
	else if (access(db, R_OK | X_OK) && errno != ENOENT)
		err = path_fail(why, "read", db);
	free(db);
	return err;
}

static bool names_current(const char *dir, const char *below)
{
	char *path = xasprintf("%s%s/CURRENT", dir, below);
	bool yes = path_exists(path);

	free(path);
	return yes;
}

static bool database_exists(const char *dir)
{
	return names_current(dir, "/db");
}

/* A way on that every sentence about lost writes ends with. */
#define LOST_ADVICE                                                                                \
	"restore the directory from a copy, or open it with --accept-lost-writes to go on "        \
	"without them"

/* Reads the mark, or makes the first one when there is no database yet. *is_known: whether there is one now. */
static enum ks_err prepare_mark(const char *dir, const struct store_options *o, bool exists,
				struct mark_value *mark, bool *is_known, struct ks_why *why)
{
	struct ks_why cause = {""};
	enum ks_err err = mark_read(dir, mark, &cause);

	*is_known = true;
	if (!err && mark->format != FORMAT_VERSION)
		return ks_fail(why, ERR_DATA_VERSION,
			       "%s has data format %" PRIu32 ", this program has %d; use the "
			       "program that wrote it",
			       dir, mark->format, FORMAT_VERSION);
	if (!err && !exists && mark_least(mark) > 0 && !o->accept_lost_writes)
		return ks_fail(why, ERR_LOST_WRITES,
			       "%s/db is gone, and %s/mark says that writes up to number %" PRIu64
			       " were acknowledged; " LOST_ADVICE,
			       dir, dir, mark_least(mark));
	if (!err || err == ERR_IO)
		return err ? ks_fail(why, err, "%s", cause.text) : ERR_NONE;

	*mark = (struct mark_value){.format = FORMAT_VERSION};
	if (!exists && err == ERR_NOT_FOUND)
		return mark_create(dir, 0, FORMAT_VERSION, why);
	*is_known = false;
	if (o->accept_lost_writes) {
		log_warn("store",
			 "%s; going on with what %s/db holds, without knowing whether "
			 "acknowledged writes are missing",
			 cause.text, dir);
		return ERR_NONE;
	}
	if (err == ERR_NOT_FOUND)
		return ks_fail(why, ERR_LOST_WRITES,
			       "%s/mark is gone, so nobody can tell whether %s/db holds all "
			       "acknowledged writes; " LOST_ADVICE,
			       dir, dir);
	return ks_fail(
		why, err,
		"%s, so nobody can tell whether %s/db holds all acknowledged writes; " LOST_ADVICE,
		cause.text, dir);
}

static bool is_our_family(const char *name)
{
	for (int i = 0; i < CF_COUNT; i++)
		if (strcmp(name, rocks_cf_names[i]) == 0)
			return true;
	return false;
}

/* Without changing anything: are the column families in DIR/db ours, and all of them? Fewer are
 * right only where a crash interrupted the making, before anything was acknowledged. */
static enum ks_err check_families(const struct rocks *r, const char *path,
				  const struct mark_value *mark, bool *complete, struct ks_why *why)
{
	char *error = NULL;
	size_t count = 0;
	char **names = rocksdb_list_column_families(r->options.db, path, &count, &error);
	enum ks_err err = ERR_NONE;

	if (error) {
		if (names) /* an empty list even so */
			rocksdb_list_column_families_destroy(names, 0);
		return rocks_fail(why, r->dir, "read", error);
	}
	for (size_t i = 0; i < count && !err; i++)
		if (!is_our_family(names[i]))
			err = ks_fail(why, ERR_DATA_VERSION,
				      "%s has a column family \"%s\" that this program does not "
				      "know: it was written by a newer ksrun or by another program",
				      path, names[i]);
	*complete = count == CF_COUNT;
	if (!err && count < CF_COUNT && mark->written > 0)
		err = ks_fail(why, ERR_CORRUPTION,
			      "%s has %zu column families where %d belong; restore the directory "
			      "from a copy",
			      path, count, CF_COUNT);
	rocksdb_list_column_families_destroy(names, count);
	return err;
}

static enum ks_err open_database(struct rocks *r, const char *path, bool read_only,
				 struct ks_why *why)
{
	char *error = NULL;

	flush_pace_hurry_begin(r->options.pace); /* what is replayed is flushed */
	if (read_only)
		r->db = rocksdb_open_for_read_only_column_families(
			r->options.db, path, CF_COUNT, rocks_cf_names,
			(const rocksdb_options_t *const *)r->options.cf, r->cf, 0, &error);
	else
		r->db = rocksdb_open_column_families(
			r->options.db, path, CF_COUNT, rocks_cf_names,
			(const rocksdb_options_t *const *)r->options.cf, r->cf, &error);
	flush_pace_hurry_end(r->options.pace);
	return error ? rocks_fail(why, r->dir, "open", error) : ERR_NONE;
}

static void close_database(struct rocks *r)
{
	for (int i = 0; i < CF_COUNT; i++) {
		if (r->cf[i])
			rocksdb_column_family_handle_destroy(r->cf[i]);
		r->cf[i] = NULL;
	}
	if (r->db)
		rocksdb_close(r->db);
	r->db = NULL;
}

static enum ks_err write_format(struct rocks *r, struct ks_why *why)
{
	uint8_t version[4];
	char *error = NULL;

	put_u32be(version, FORMAT_VERSION);
	rocks_wal_promise(true);
	rocksdb_put_cf(r->db, r->sync, r->cf[CF_META], FORMAT_KEY, strlen(FORMAT_KEY),
		       (const char *)version, sizeof version, &error);
	rocks_wal_promise(false);
	return error ? rocks_fail(why, r->dir, "write", error) : ERR_NONE;
}

static enum ks_err check_format(struct rocks *r, const struct mark_value *mark, bool read_only,
				struct ks_why *why)
{
	struct buf b = {0};
	enum ks_err err = store_get(&r->base, CF_META, slice_str(FORMAT_KEY), &b);
	uint64_t version = b.len == 4 ? get_u32be(b.data) : 0;

	buf_fini(&b);
	if (err == ERR_NOT_FOUND && store_sequence(&r->base) == 0) /* just made */
		return read_only ? ERR_NONE : write_format(r, why);
	if (err == ERR_NOT_FOUND && mark->written > 0)
		return ks_fail(
			why, ERR_CORRUPTION,
			"%s/db has lost its format number; restore the directory from a copy",
			r->dir);
	if (err == ERR_NOT_FOUND)
		return ks_fail(why, ERR_DATA_VERSION,
			       "%s/db was not written by ksrun: it has no format number", r->dir);
	if (err)
		return ks_fail(why, err, "cannot read the format number of %s/db", r->dir);
	if (version != FORMAT_VERSION)
		return ks_fail(why, ERR_DATA_VERSION,
			       "%s/db has data format %" PRIu64 ", this program has %d; use the "
			       "program that wrote it",
			       r->dir, version, FORMAT_VERSION);
	return ERR_NONE;
}

static enum ks_err check_sequence(struct rocks *r, const struct mark_value *mark, bool accept,
				  struct ks_why *why)
{
	uint64_t have = store_sequence(&r->base), least = mark_least(mark);

	if (have >= least)
		return ERR_NONE;
	if (!accept)
		return ks_fail(why, ERR_LOST_WRITES,
			       "%s/db ends at write number %" PRIu64 ", and writes up to number "
			       "%" PRIu64 " were acknowledged: the last %" PRIu64
			       " are missing; " LOST_ADVICE,
			       r->dir, have, least, least - have);
	log_warn("store",
		 "%s: going on without write numbers %" PRIu64 " to %" PRIu64
		 ", which were acknowledged",
		 r->dir, have + 1, least);
	return ERR_NONE;
}

/* From here on the mark hears of the MANIFEST. */
static enum ks_err start_mark(struct rocks *r, struct ks_why *why)
{
	enum ks_err err = mark_open(r->dir, &r->mark, why);

	r->mark_synced_ns = clock_monotonic_ns(&clock_real);
	return err ? err : manifest_guard_attach(r->options.manifests, r->mark, why);
}

/* What is there is what is to be there from now on. */
static enum ks_err accept_loss(struct rocks *r, struct ks_why *why)
{
	uint64_t have = store_sequence(&r->base);
	enum ks_err err = ERR_NONE;

	if (!r->mark) {
		err = mark_create(r->dir, have, FORMAT_VERSION, why);
		if (!err)
			err = start_mark(r, why);
	}
	if (!err)
		err = mark_move(r->mark, have, have, why);
	r->synced = have;
	return err ? err : mark_sync(r->mark, why);
}

static enum ks_err rehearse(struct rocks *r, const char *path, const struct mark_value *mark,
			    struct ks_why *why)
{
	enum ks_err err = open_database(r, path, true, why);

	if (!err)
		err = check_format(r, mark, true, why);
	if (!err)
		err = check_sequence(r, mark, false, why);
	close_database(r);
	return err;
}

/* What a process left in the page cache: RocksDB records column by column how far it recovered, and a loss of power in
 * between must not take the log from the rest. */
static enum ks_err sync_logs(const char *path, struct ks_why *why)
{
	int err = wal_sync_files(path);

	return err ? ks_fail(why, ERR_IO, "cannot sync the log in %s: %s", path, strerror(err))
		   : ERR_NONE;
}

/* Not for an operator to accept: what a database with a damaged MANIFEST opens with has gaps in commits. A reader without
 * the lock sees all of it, for its writer may go on meanwhile. */
static enum ks_err trust_manifest(struct rocks *r, const struct mark_value *mark, struct ks_why *why)
{
	struct manifest_view view;
	enum ks_err err = manifest_check(r->dir, &mark->manifests, &view, why);

	if (!err && !r->read_only)
		manifest_guard_trust(r->options.manifests, &view);
	return err;
}

/* Nothing of the database is changed before; mark: NULL when there is none. */
static enum ks_err open_for_writing(struct rocks *r, const char *path,
				    const struct mark_value *mark, struct ks_why *why)
{
	enum ks_err err = sync_logs(path, why);

	if (!err && mark) {
		r->synced = mark->synced;
		err = start_mark(r, why);
	}
	return err ? err : open_database(r, path, false, why);
}

/* The lock is held, but for a reader. */
static enum ks_err open_guarded(struct rocks *r, const struct store_options *o, bool exists,
				const struct mark_value *mark, bool is_known, struct ks_why *why)
{
	char *path = xasprintf("%s/db", r->dir);
	bool complete = false;
	enum ks_err err = make_dir(path, o->create, why);

	if (!err)
		err = rocks_options_init(&r->options, path, o, why);
	if (!err && exists)
		err = trust_manifest(r, mark, why);
	if (!err && exists)
		err = check_families(r, path, mark, &complete, why);
	if (!err && complete && !r->read_only && !o->accept_lost_writes)
		err = rehearse(r, path, mark, why);
	if (!err && r->read_only)
		err = open_database(r, path, true, why);
	else if (!err)
		err = open_for_writing(r, path, is_known ? mark : NULL, why);
	if (!err)
		err = check_format(r, mark, r->read_only, why);
	if (!err)
		err = check_sequence(r, mark, o->accept_lost_writes, why);
	free(path);
	return err;
}

static enum ks_err rocks_open(struct rocks *r, const struct store_options *o, struct ks_why *why)
{
	struct mark_value mark;
	bool is_known;
	enum ks_err err = make_dir(r->dir, o->create, why);

	if (!err)
		err = check_rights(r->dir, why);
	if (!err && names_current(r->dir, ""))
		err = ks_fail(why, ERR_DATA_VERSION,
			      "%s is a RocksDB database itself; a data directory of ksrun has one "
			      "in a directory db below it",
			      r->dir);
	if (!err && !database_exists(r->dir) && (!o->create || o->read_only))
		err = ks_fail(why, ERR_NOT_FOUND, "there is no database in %s", r->dir);
	if (!err && !r->read_only)
		err = lock_take(r->dir, &r->lock_fd, why);
	bool exists = database_exists(r->dir); /* known for sure only under the lock */
	if (!err)
		err = prepare_mark(r->dir, o, exists, &mark, &is_known, why);
	if (!err)
		err = open_guarded(r, o, exists, &mark, is_known, why);
	if (!err && o->accept_lost_writes && !r->read_only)
		err = accept_loss(r, why);
	return err;
}

/* Releases what there is, in any state of opening. */
static void rocks_free(struct rocks *r)
{
	close_database(r);
	rocksdb_writeoptions_destroy(r->sync);
	rocksdb_writeoptions_destroy(r->no_sync);
	rocksdb_readoptions_destroy(r->get);
	rocks_options_fini(&r->options);
	mark_close(r->mark);
	lock_release(r->lock_fd);
	pthread_mutex_destroy(&r->reclaim_mtx);
	free(r->dir);
	free(r);
}

/* After a flush everything is on the disk, also commits that were not synced. */
static enum ks_err settle_mark(struct rocks *r, struct ks_why *why)
{
	uint64_t now = store_sequence(&r->base);
	enum ks_err err = mark_move(r->mark, now, now, why);

	return err ? err : mark_sync(r->mark, why);
}

static void rocks_close(struct store *s)
{
	struct rocks *r = rocks_of(s);
	struct ks_why why;

	/* A failed store closes as it is: what is on disk is all that was acknowledged. */
	if (!r->read_only && !s->failed && (store_flush(s, &why) || settle_mark(r, &why)))
		log_error("store", "%s", why.text);
	rocks_free(r);
}

/* --- writing --- */

static struct store_write *rocks_write_new(struct store *s)
{
	struct rocks_write *w = xcalloc(1, sizeof *w);

	w->r = rocks_of(s);
	w->batch = rocksdb_writebatch_create();
	return &w->base;
}

static void rocks_write_free(struct store_write *base)
{
	struct rocks_write *w = (struct rocks_write *)base;

	rocksdb_writebatch_destroy(w->batch);
	free(w->part_data);
	free(w->part_len);
	free(w);
}

static void rocks_write_clear(struct store_write *base)
{
	struct rocks_write *w = (struct rocks_write *)base;

	if (base->bytes <= WRITE_KEEP_BYTES) {
		rocksdb_writebatch_clear(w->batch);
		return;
	}
	rocksdb_writebatch_destroy(w->batch);
	w->batch = rocksdb_writebatch_create();
}

/* Room for the parts of one value, in the two arrays that RocksDB wants. */
static void reserve_parts(struct rocks_write *w, size_t count)
{
	if (count <= w->parts_cap)
		return;
	w->parts_cap = count * 2;
	w->part_data = xrealloc(w->part_data, w->parts_cap * sizeof *w->part_data);
	w->part_len = xrealloc(w->part_len, w->parts_cap * sizeof *w->part_len);
}

static void rocks_putv(struct store_write *base, enum store_cf cf, struct slice key,
		       const struct slice *parts, size_t count)
{
	struct rocks_write *w = (struct rocks_write *)base;
	rocksdb_column_family_handle_t *handle = w->r->cf[cf];
	const char *key_data = chars(key);

	if (count <= 1) {
		struct slice value = count ? parts[0] : SLICE_NULL;
		rocksdb_writebatch_put_cf(w->batch, handle, key_data, key.len, chars(value),
					  value.len);
		return;
	}
	reserve_parts(w, count);
	for (size_t i = 0; i < count; i++) {
		w->part_data[i] = chars(parts[i]);
		w->part_len[i] = parts[i].len;
	}
	rocksdb_writebatch_putv_cf(w->batch, handle, 1, &key_data, &key.len, (int)count,
				   w->part_data, w->part_len);
}

static void rocks_delete_key(struct store_write *base, enum store_cf cf, struct slice key)
{
	struct rocks_write *w = (struct rocks_write *)base;

	rocksdb_writebatch_delete_cf(w->batch, w->r->cf[cf], chars(key), key.len);
}

static void rocks_delete_range(struct store_write *base, enum store_cf cf, struct slice from,
			       struct slice to)
{
	struct rocks_write *w = (struct rocks_write *)base;

	rocksdb_writebatch_delete_range_cf(w->batch, w->r->cf[cf], chars(from), from.len, chars(to),
					   to.len);
}

static enum ks_err rocks_commit(struct store *s, struct store_write *base, bool sync,
				struct ks_why *why)
{
	struct rocks *r = rocks_of(s);
	struct rocks_write *w = (struct rocks_write *)base;
	char *error = NULL;

	assert(!r->read_only);
	rocks_wal_promise(sync);
	rocksdb_write(r->db, sync ? r->sync : r->no_sync, w->batch, &error);
	rocks_wal_promise(false);
	if (error)
		return rocks_fail(why, r->dir, "write to", error);
	if (sync)
		r->synced = store_sequence(s);
	return ERR_NONE;
}

static uint64_t rocks_sequence(struct store *s)
{
	return rocksdb_get_latest_sequence_number(rocks_of(s)->db);
}

static enum ks_err rocks_mark(struct store *s, struct ks_why *why)
{
	struct rocks *r = rocks_of(s);
	int64_t now = clock_monotonic_ns(&clock_real);
	bool due = now - r->mark_synced_ns >= MARK_SYNC_INTERVAL_NS;
	enum ks_err err = mark_move(r->mark, r->synced, store_sequence(s), why);

	if (err || !due)
		return err;
	r->mark_synced_ns = now;
	return mark_sync(r->mark, why);
}

/* --- reading --- */

static enum ks_err rocks_get(struct store *s, enum store_cf cf, struct slice key, struct buf *out)
{
	struct rocks *r = rocks_of(s);
	char *error = NULL;
	rocksdb_pinnableslice_t *found =
		rocksdb_get_pinned_cf(r->db, r->get, r->cf[cf], chars(key), key.len, &error);

	if (error)
		return rocks_fail(NULL, r->dir, "read", error);
	if (!found)
		return ERR_NOT_FOUND;
	size_t len;
	const char *value = rocksdb_pinnableslice_value(found, &len);
	buf_append(out, value, len);
	rocksdb_pinnableslice_destroy(found);
	return ERR_NONE;
}

static struct store_iter *rocks_iter_new(struct store *s, enum store_cf cf, struct slice lower,
					 struct slice upper)
{
	struct rocks *r = rocks_of(s);
	struct rocks_iter *it = xcalloc(1, sizeof *it + lower.len + upper.len);
	char *low = (char *)it->bounds, *up = low + lower.len;

	it->r = r;
	it->options = rocksdb_readoptions_create();
	if (lower.data) {
		memcpy(low, lower.data, lower.len);
		rocksdb_readoptions_set_iterate_lower_bound(it->options, low, lower.len);
	}
	if (upper.data) {
		memcpy(up, upper.data, upper.len);
		rocksdb_readoptions_set_iterate_upper_bound(it->options, up, upper.len);
	}
	it->it = rocksdb_create_iterator_cf(r->db, it->options, r->cf[cf]);
	return &it->base;
}

static void rocks_iter_free(struct store_iter *base)
{
	struct rocks_iter *it = (struct rocks_iter *)base;

	rocksdb_iter_destroy(it->it);
	rocksdb_readoptions_destroy(it->options);
	free(it);
}

static rocksdb_iterator_t *iter_of(const struct store_iter *base)
{
	return ((const struct rocks_iter *)base)->it;
}

static void rocks_iter_seek(struct store_iter *it, struct slice key)
{
	rocksdb_iter_seek(iter_of(it), chars(key), key.len);
}

static void rocks_iter_seek_for_prev(struct store_iter *it, struct slice key)
{
	rocksdb_iter_seek_for_prev(iter_of(it), chars(key), key.len);
}

static void rocks_iter_first(struct store_iter *it)
{
	rocksdb_iter_seek_to_first(iter_of(it));
}

static void rocks_iter_last(struct store_iter *it)
{
	rocksdb_iter_seek_to_last(iter_of(it));
}

static bool rocks_iter_valid(const struct store_iter *it)
{
	return rocksdb_iter_valid(iter_of(it));
}

static void rocks_iter_next(struct store_iter *it)
{
	rocksdb_iter_next(iter_of(it));
}

static void rocks_iter_prev(struct store_iter *it)
{
	rocksdb_iter_prev(iter_of(it));
}

static struct slice rocks_iter_key(const struct store_iter *it)
{
	size_t len;
	const char *key = rocksdb_iter_key(iter_of(it), &len);

	return slice_of(key, len);
}

static struct slice rocks_iter_value(const struct store_iter *it)
{
	size_t len;
	const char *value = rocksdb_iter_value(iter_of(it), &len);

	return slice_of(value, len);
}

static enum ks_err rocks_iter_error(const struct store_iter *base, struct ks_why *why)
{
	const struct rocks_iter *it = (const struct rocks_iter *)base;
	char *error = NULL;

	rocksdb_iter_get_error(it->it, &error);
	return error ? rocks_fail(why, it->r->dir, "read", error) : ERR_NONE;
}

/* --- care --- */

static enum ks_err rocks_flush(struct store *s, struct ks_why *why)
{
	struct rocks *r = rocks_of(s);

	flush_pace_hurry_begin(r->options.pace);
	char *error = rocks_wal_flush(r->db, r->cf, CF_COUNT);
	flush_pace_hurry_end(r->options.pace);
	return error ? rocks_fail(why, r->dir, "flush", error) : ERR_NONE;
}

static uint64_t property(const struct rocks *r, int cf, const char *name)
{
	uint64_t value = 0;

	return rocksdb_property_int_cf(r->db, r->cf[cf], name, &value) ? 0 : value;
}

/* It begins with a flush that may miss a column family which was idle until then. */
static void compact(struct rocks *r, enum store_cf cf)
{
	rocksdb_compactoptions_t *o = rocksdb_compactoptions_create();

	rocksdb_compactoptions_set_exclusive_manual_compaction(o, 0);
	/* kForce: the bottommost files too, for there the deleted keys lie. */
	rocksdb_compactoptions_set_bottommost_level_compaction(o, 2);
	wal_strict_begin(r->options.wal);
	rocksdb_compact_range_cf_opt(r->db, r->cf[cf], o, NULL, 0, NULL, 0);
	wal_strict_end(r->options.wal);
	rocksdb_compactoptions_destroy(o);
}

static enum ks_err set_blob_collection(struct rocks *r, enum store_cf cf, bool on,
				       struct ks_why *why)
{
	const char *names[] = {"enable_blob_garbage_collection",
			       "blob_garbage_collection_age_cutoff"};
	const char *values[] = {on ? "true" : "false", "1.0"};
	char *error = NULL;

	rocksdb_set_options_cf(r->db, r->cf[cf], 2, names, values, &error);
	return error ? rocks_fail(why, r->dir, "set blob collection of", error) : ERR_NONE;
}

/* Two passes. The first rewrites keys alone: references into blob files go with the deleted keys,
 * and blob files without references are removed. The second moves the live values out of the files
 * that remain, when the garbage is worth it. */
static enum ks_err rocks_reclaim(struct store *s, enum store_cf cf, struct ks_why *why)
{
	struct rocks *r = rocks_of(s);
	enum ks_err err = ERR_NONE;

	pthread_mutex_lock(&r->reclaim_mtx);
	compact(r, cf);
	uint64_t total = property(r, (int)cf, "rocksdb.total-blob-file-size");
	uint64_t garbage = property(r, (int)cf, "rocksdb.live-blob-file-garbage-size");
	if (garbage > total / RECLAIM_SHARE) {
		err = set_blob_collection(r, cf, true, why);
		if (!err) {
			compact(r, cf);
			err = set_blob_collection(r, cf, false, why);
		}
	}
	pthread_mutex_unlock(&r->reclaim_mtx);
	return err;
}

static void rocks_stats(struct store *s, struct store_stats *out)
{
	struct rocks *r = rocks_of(s);

	for (int i = 0; i < CF_COUNT; i++) {
		out->blob_bytes += property(r, i, "rocksdb.total-blob-file-size");
		out->blob_garbage_bytes += property(r, i, "rocksdb.live-blob-file-garbage-size");
		out->live_bytes += property(r, i, "rocksdb.total-sst-files-size");
		out->memtable_bytes += property(r, i, "rocksdb.size-all-mem-tables");
	}
	out->live_bytes += out->blob_bytes;
	out->write_stopped = property(r, CF_META, "rocksdb.is-write-stopped") != 0;
}

static const struct store_ops rocks_ops = {
	.close = rocks_close,
	.write_new = rocks_write_new,
	.write_free = rocks_write_free,
	.write_clear = rocks_write_clear,
	.putv = rocks_putv,
	.delete_key = rocks_delete_key,
	.delete_range = rocks_delete_range,
	.commit = rocks_commit,
	.sequence = rocks_sequence,
	.mark = rocks_mark,
	.get = rocks_get,
	.iter_new = rocks_iter_new,
	.iter_free = rocks_iter_free,
	.iter_seek = rocks_iter_seek,
	.iter_seek_for_prev = rocks_iter_seek_for_prev,
	.iter_first = rocks_iter_first,
	.iter_last = rocks_iter_last,
	.iter_valid = rocks_iter_valid,
	.iter_next = rocks_iter_next,
	.iter_prev = rocks_iter_prev,
	.iter_key = rocks_iter_key,
	.iter_value = rocks_iter_value,
	.iter_error = rocks_iter_error,
	.flush = rocks_flush,
	.reclaim = rocks_reclaim,
	.stats = rocks_stats,
};

enum ks_err store_open(const char *dir, const struct store_options *options, struct store **out,
		       struct ks_why *why)
{
	struct rocks *r = xcalloc(1, sizeof *r);
	enum ks_err err;

	r->base.ops = &rocks_ops;
	r->dir = xstrdup(dir);
	r->lock_fd = -1;
	pthread_mutex_init(&r->reclaim_mtx, NULL);
	r->read_only = options->read_only;
	r->no_sync = rocksdb_writeoptions_create();
	r->sync = rocksdb_writeoptions_create();
	rocksdb_writeoptions_set_sync(r->sync, 1);
	r->get = rocksdb_readoptions_create();
	err = rocks_open(r, options, why);
	if (err) {
		rocks_free(r);
		return err;
	}
	*out = &r->base;
	return ERR_NONE;
}

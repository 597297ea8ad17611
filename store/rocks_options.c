/* rocks_options.c - see rocks_options.h. Beside rocks.c the only file that includes <rocksdb/c.h>.
 *
 * Options are written as RocksDB's own option strings, because the C API lacks setters for some and
 * because an unknown name is then an error and not a build that differs from the next.
 */
#include "store/rocks_options.h"

#include "base/seeded.h"
#include "store/flush_pace.h"
#include "store/manifest_guard.h"
#include "store/rocks_logger.h"
#include "store/rocks_wal.h"
#include "store/wal_file.h"

#include <rocksdb/c.h>
#include <stdlib.h>

#define KiB                        (1024)
#define MiB                        (1024 * KiB)

#define DEFAULT_LOG_MEMTABLE_BYTES (32 * MiB)
#define JOBS_LOG_MEMTABLE_BYTES    (16 * MiB)
#define DEFAULT_LOG_MEMTABLES_MAX  4
#define JOBS_LOG_MEMTABLES_MAX     3
#define DEFAULT_BLOCK_CACHE_BYTES  (32 * MiB)

/* RocksDB insists on a family called "default"; the one that is always there is CF_META. */
const char *const rocks_cf_names[CF_COUNT] = {
	[CF_META] = "default",    [CF_LOG] = "log",   [CF_INDEX] = "index",
	[CF_OFFSETS] = "offsets", [CF_TXN] = "txn",   [CF_GROUPS] = "groups",
	[CF_TOPICS] = "topics",   [CF_JOBS] = "jobs", [CF_STATE] = "state",
};

static const char db_options[] =
	/* After a crash: everything up to the first damaged record and nothing behind it. The
	 * durable mark decides whether that is enough. */
	"wal_recovery_mode=kPointInTimeRecovery;"
	"paranoid_checks=true;"
	/* One thread commits: nothing is won by letting several into the memtable. */
	"allow_concurrent_memtable_write=false;"
	/* Two flushes at a time: one alone waits for the disk after each of its steps - the old
	 * write-ahead log's sync, the blob file, the table, the MANIFEST - and the commits for it. */
	"max_background_flushes=2;"
	"max_background_compactions=3;"
	/* How fast a commit may go on while one memtable is left. RocksDB's own 16 MiB/s makes it wait
	 * tens of milliseconds at a time; this makes the wait a few and loses no throughput. */
	"delayed_write_rate=268435456;"
	/* Flushes go through the page cache while somebody follows a little behind: he reads from memory.
	 * Dirty pages are handed to the disk steadily instead of all at the next sync; those of flushes
	 * in the pieces and at the pace of flush_pace.c, unless they have to be fast. */
	"bytes_per_sync=1048576;"
	"wal_bytes_per_sync=0;"
	/* Whoever catches up reads blob files from front to end: the kernel may read ahead. */
	"advise_random_on_open=false;"
	/* What a restart after a crash has to read again, at most. */
	"max_total_wal_size=134217728;"
	/* Descriptors are shared with sockets. */
	"max_open_files=512;"
	/* RocksDB's own 16 are made anew for each column family of each open, for one table or two. */
	"max_file_opening_threads=1;"
	/* A reader's thread does not wait for files to be deleted. */
	"avoid_unnecessary_blocking_io=true;"
	"skip_stats_update_on_db_open=true;"
	"stats_dump_period_sec=0;"
	"stats_persist_period_sec=0;"
	"max_manifest_file_size=16777216;";

/* Keys here are tiny beside their values, which live in blob files, so a table of the log is small
 * and many of them are cheap. Compaction rewrites keys and blob references alone; it starts late
 * and keeps its first level small, so that an endless log does not rewrite its index endlessly. */
static const char log_options[] =
	"compression=kNoCompression;"
	"enable_blob_files=true;"
	"min_blob_size=4096;"
	"blob_file_size=268435456;"
	"blob_compression_type=kNoCompression;"
	/* Collected by store_reclaim, when there is enough garbage. By itself RocksDB would
	 * rewrite live batches of the oldest files at every compaction. */
	"enable_blob_garbage_collection=false;"
	"min_write_buffer_number_to_merge=1;"
	/* No memtable_insert_with_hint_prefix_extractor: this version mixes up the hints of keys and
	 * of range deletions, and a DeleteRange corrupts the memtable (rocksdb#5118; #12558 mends
	 * it). */
	"level0_file_num_compaction_trigger=8;"
	"level0_slowdown_writes_trigger=48;"
	"level0_stop_writes_trigger=96;"
	"target_file_size_base=8388608;"
	"max_bytes_for_level_base=33554432;"
	"level_compaction_dynamic_level_bytes=true;";

static const char state_options[] = "compression=kLZ4Compression;"
				    "write_buffer_size=16777216;"
				    "max_write_buffer_number=3;"
				    "target_file_size_base=16777216;"
				    "max_bytes_for_level_base=67108864;"
				    "level_compaction_dynamic_level_bytes=true;";

static const char small_options[] = "compression=kLZ4Compression;"
				    "write_buffer_size=4194304;"
				    "max_write_buffer_number=2;"
				    "target_file_size_base=8388608;"
				    "max_bytes_for_level_base=33554432;"
				    "level_compaction_dynamic_level_bytes=true;";

/* Without jobs all column families are flushed together: nobody needs the log of what was flushed, and it need not be
 * synced for that (wal_file.h). */
static const char together_db_options[] =
	"atomic_flush=true;"
	/* Each of them also syncs a small table for every other column family. */
	"max_background_flushes=3;";

/* Then the others are flushed whenever the log is, however little is in them: as many memtables as it has, and many small
 * tables before they are worth a compaction. */
static const char together_options[] = "max_write_buffer_number=5;"
				       "level0_file_num_compaction_trigger=16;"
				       "level0_slowdown_writes_trigger=64;"
				       "level0_stop_writes_trigger=128;";

static enum ks_err apply(rocksdb_options_t **o, const char *text, struct ks_why *why)
{
	rocksdb_options_t *next = rocksdb_options_create();
	char *error = NULL;

	rocksdb_get_options_from_string(*o, text, next, &error);
	rocksdb_options_destroy(*o);
	*o = next;
	if (error) {
		ks_fail(why, ERR_IO, "this version of RocksDB does not take our options: %s",
			error);
		rocksdb_free(error);
		return ERR_IO;
	}
	return ERR_NONE;
}

static enum ks_err init_db(struct rocks_options *r, const char *dir, const struct store_options *o,
			   struct ks_why *why)
{
	r->db = rocksdb_options_create();
	enum ks_err err = apply(&r->db, db_options, why);
	if (!err && !o->has_jobs && !KS_SEEDED_BUG(156))
		err = apply(&r->db, together_db_options, why);
	r->logger = rocks_logger_new();
	rocksdb_options_set_info_log(r->db, r->logger);
	r->pace = flush_pace_new();
	r->wal = wal_dir_new(dir);
	if (o->has_jobs)
		wal_strict_begin(r->wal);
	r->manifests = manifest_guard_new();
	r->env = rocks_wal_env_new(r->wal, r->manifests, r->pace, !o->has_jobs);
	rocksdb_options_set_env(r->db, r->env);
	rocksdb_options_set_create_if_missing(r->db, !o->read_only);
	rocksdb_options_set_create_missing_column_families(r->db, !o->read_only);
	return err;
}

static enum ks_err init_log(rocksdb_options_t **cf, const struct store_options *o,
			    struct ks_why *why)
{
	enum ks_err err = apply(cf, log_options, why);
	size_t bytes = o->has_jobs ? JOBS_LOG_MEMTABLE_BYTES : DEFAULT_LOG_MEMTABLE_BYTES;

	rocksdb_options_set_write_buffer_size(*cf, o->log_memtable_bytes ? o->log_memtable_bytes
									 : bytes);
	int most = o->has_jobs ? JOBS_LOG_MEMTABLES_MAX : DEFAULT_LOG_MEMTABLES_MAX;
	rocksdb_options_set_max_write_buffer_number(*cf, o->log_memtables_max ? o->log_memtables_max
									      : most);
	return err;
}

static void set_table_format(rocksdb_options_t *cf, rocksdb_cache_t *cache, bool bloom)
{
	rocksdb_block_based_table_options_t *t = rocksdb_block_based_options_create();

	rocksdb_block_based_options_set_block_cache(t, cache);
	rocksdb_block_based_options_set_cache_index_and_filter_blocks(t, 1);
	rocksdb_block_based_options_set_pin_l0_filter_and_index_blocks_in_cache(t, 1);
	rocksdb_block_based_options_set_format_version(t, 5);
	if (bloom)
		rocksdb_block_based_options_set_filter_policy(
			t, rocksdb_filterpolicy_create_bloom_full(10));
	rocksdb_options_set_block_based_table_factory(cf, t);
	rocksdb_block_based_options_destroy(t);
}

enum ks_err rocks_options_init(struct rocks_options *r, const char *dir,
			       const struct store_options *o, struct ks_why *why)
{
	*r = (struct rocks_options){0};
	enum ks_err err = init_db(r, dir, o, why);

	r->cache = rocksdb_cache_create_lru(o->block_cache_bytes ? o->block_cache_bytes
								 : DEFAULT_BLOCK_CACHE_BYTES);
	for (int i = 0; i < CF_COUNT && !err; i++) {
		r->cf[i] = rocksdb_options_create();
		if (i == CF_LOG)
			err = init_log(&r->cf[i], o, why);
		else
			err = apply(&r->cf[i], i == CF_STATE ? state_options : small_options, why);
		if (!err && i != CF_LOG && !o->has_jobs)
			err = apply(&r->cf[i], together_options, why);
		set_table_format(r->cf[i], r->cache, i == CF_STATE);
	}
	return err;
}

void rocks_options_fini(struct rocks_options *r)
{
	for (int i = 0; i < CF_COUNT; i++)
		if (r->cf[i])
			rocksdb_options_destroy(r->cf[i]);
	if (r->db)
		rocksdb_options_destroy(r->db);
	if (r->cache)
		rocksdb_cache_destroy(r->cache);
	rocks_logger_free(r->logger);
	if (r->env)
		rocksdb_env_destroy(r->env);
	wal_dir_free(r->wal);
	manifest_guard_free(r->manifests);
	flush_pace_free(r->pace);
	*r = (struct rocks_options){0};
}

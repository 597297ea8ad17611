/* rocks_options.h - how RocksDB is set up: one place for all of its knobs. docs/storage.md says
 * why. */
#ifndef STORE_ROCKS_OPTIONS_H
#define STORE_ROCKS_OPTIONS_H

#include "store/store.h"

struct rocksdb_options_t;
struct rocksdb_cache_t;
struct rocksdb_logger_t;
struct rocksdb_env_t;
struct flush_pace;
struct manifest_guard;

struct rocks_options {
	struct rocksdb_options_t *db;
	struct rocksdb_options_t *cf[CF_COUNT];
	struct rocksdb_cache_t *cache; /* shared by all column families */
	struct rocksdb_logger_t *logger;
	struct flush_pace *pace;
	struct wal_dir *wal;
	struct manifest_guard *manifests;
	struct rocksdb_env_t *env; /* where the files of logs and flushes come from */
};

/* dir: where the database lies or will lie; it is probed for direct input and output.
 * ERR_IO when RocksDB does not know one of our options: another version of the library. */
enum ks_err rocks_options_init(struct rocks_options *r, const char *dir,
			       const struct store_options *o, struct ks_why *why);
/* After the database is closed. r may be half made, or zero. */
void rocks_options_fini(struct rocks_options *r);

/* RocksDB's name of each column family. */
extern const char *const rocks_cf_names[CF_COUNT];

#endif

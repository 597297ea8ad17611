/* rocks_wal.h - makes RocksDB keep its write-ahead log in the files of wal_file.h, flush at flush_pace.h's pace, and write
 * and read its MANIFEST under manifest_guard.h's eyes. */
#ifndef STORE_ROCKS_WAL_H
#define STORE_ROCKS_WAL_H

#include <stdbool.h>
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct rocksdb_t;
struct rocksdb_column_family_handle_t;
struct rocksdb_env_t;
struct flush_pace;
struct manifest_guard;
struct wal_dir;

/* The usual environment, but for the logs, the MANIFEST and the blob files of the database of dir. For
 * rocksdb_options_set_env; release with rocksdb_env_destroy after the database is closed, and dir, guard and pace after
 * that. past_cache: blob files may go past the page cache, whenever flush_pace.h says so. */
struct rocksdb_env_t *rocks_wal_env_new(struct wal_dir *dir, struct manifest_guard *guard,
					struct flush_pace *pace, bool past_cache);

/* Whether the calling thread's next commits are to be durable when they return: RocksDB syncs for them and for flushes
 * alike, and those of flushes may be put off (wal_file.h). */
void rocks_wal_promise(bool is_durable);

/* Flushes the column families together; what is not among them must not be in the log. NULL, or what went wrong, to be
 * released with free. */
char *rocks_wal_flush(struct rocksdb_t *db, struct rocksdb_column_family_handle_t *const *families,
		      size_t count);

#ifdef __cplusplus
}
#endif

#endif

/* rocks_wal.h - makes RocksDB keep its write-ahead log in the files of wal_file.h, and flush at flush_pace.h's pace. */
#ifndef STORE_ROCKS_WAL_H
#define STORE_ROCKS_WAL_H

#ifdef __cplusplus
extern "C" {
#endif

struct rocksdb_env_t;
struct flush_pace;

/* The usual environment, but for the logs and the blob files of the database in dir. For rocksdb_options_set_env; release
 * with rocksdb_env_destroy after the database is closed, and pace after that. */
struct rocksdb_env_t *rocks_wal_env_new(const char *dir, struct flush_pace *pace);

#ifdef __cplusplus
}
#endif

#endif

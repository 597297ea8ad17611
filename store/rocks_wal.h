/* rocks_wal.h - makes RocksDB keep its write-ahead log in the files of wal_file.h. */
#ifndef STORE_ROCKS_WAL_H
#define STORE_ROCKS_WAL_H

#ifdef __cplusplus
extern "C" {
#endif

struct rocksdb_env_t;

/* The usual environment, but for the logs of the database in dir. For rocksdb_options_set_env; release with
 * rocksdb_env_destroy after the database is closed. */
struct rocksdb_env_t *rocks_wal_env_new(const char *dir);

#ifdef __cplusplus
}
#endif

#endif

/* rocks_logger.h - RocksDB's own log, told as ours.
 *
 * Not to have a log file is a matter of safety: on a full disk RocksDB's file logger fails, and
 * Debian's library, built with its asserts, then aborts the process at the next line.
 */
#ifndef STORE_ROCKS_LOGGER_H
#define STORE_ROCKS_LOGGER_H

#ifdef __cplusplus
extern "C" {
#endif

struct rocksdb_logger_t;

/* Hands RocksDB's errors to log_write; its warnings come by the hundred when a disk is slow, and
 * store_stats says the same. For rocksdb_options_set_info_log, which takes its own reference; release
 * with rocks_logger_free. */
struct rocksdb_logger_t *rocks_logger_new(void);
void rocks_logger_free(struct rocksdb_logger_t *l); /* l may be NULL */

#ifdef __cplusplus
}
#endif

#endif

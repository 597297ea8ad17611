/* wal_file.h - the files of the write-ahead log, used again.
 *
 * Syncing a file that grows writes its data and, through the file system's journal, its new length and blocks;
 * syncing one that is written over writes the data alone, which takes a fraction of the time. So a log file that
 * RocksDB deletes is set aside, and becomes the next one.
 *
 *     NNNNNN.log ──deleted──> spare-NNNNNN ──RocksDB begins the next──> MMMMMM.log
 *                                     the one before is cut to its length first
 *
 * What a file held before is never read again: its records bear the salt of another number (wal_block.h), and a
 * header of zeros follows whatever was written last. Only the newest file of a directory may have such a rest
 * behind its end. In every other one a record that is not right is damage, and RocksDB gets to see it.
 *
 * A file that another process still reads is not used again.
 *
 * Files without a salt, as RocksDB writes them by itself, are read as they are, and not used again.
 *
 * RocksDB asks for a sync of every log that another has followed before it flushes, so that what it does not flush is
 * found there. Here all column families are flushed together, in one step of the MANIFEST, and the log is not read
 * afterwards. So that sync is put off, and the bytes of a log that is flushed and set aside before a later write has to
 * be durable never go to the disk:
 *
 *     followed ──flush asks──> owes its sync ──deleted──────────────────────────> owes nothing
 *                                            ──a sync of a later log────────────> is synced before that one
 *                                            ──a new MANIFEST, a strict flush───> is synced before that
 *
 * A later log may not be durable before an earlier one is, for logs are read as far as there is no gap. A new MANIFEST
 * says of an idle column family that it needs the newest log only; were an older one torn then, RocksDB would take it
 * for a gap. And a flush that leaves a column family out needs the log: it has to be strict.
 *
 * Calls return 0 or an errno. Threads: any; one file is appended to by one thread at a time.
 */
#ifndef STORE_WAL_FILE_H
#define STORE_WAL_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct wal_dir;
struct wal_file;
struct wal_reader;

/* dir: of the database; it need not exist yet. */
struct wal_dir *wal_dir_new(const char *dir);
void wal_dir_free(
	struct wal_dir *d); /* after its files are closed; spare ones stay; d may be NULL */

/* Whether path is a log's, and its number. */
bool wal_number(const char *path, uint64_t *number);

/* Begins the file of a number, over a spare one if there is one. Cuts the one begun before to its length. */
int wal_create(struct wal_dir *d, const char *path, uint64_t number, struct wal_file **out);
int wal_append(struct wal_file *f, const void *data, size_t len);
/* From any thread. The file, and before it those that owe a sync. */
int wal_sync(struct wal_file *f);
/* Likewise what a flush asks for: of a file that another has followed it is put off. */
int wal_sync_later(struct wal_file *f);
/* All that were followed by another. */
int wal_sync_followed(struct wal_dir *d);
/* From begin to end no sync is put off. Calls may nest. */
void wal_strict_begin(struct wal_dir *d);
void wal_strict_end(struct wal_dir *d);
/* The logs in dir, whoever wrote them: what is recovered from them is to be theirs still after a loss of power. */
int wal_sync_files(const char *dir);
uint64_t wal_length(const struct wal_file *f);
/* Cuts it to its length and releases it. */
int wal_close(struct wal_file *f);
/* Deletes the file, or sets it aside when it was begun by d. */
int wal_delete(struct wal_dir *d, const char *path, uint64_t number);

int wal_reader_open(const char *path, uint64_t number, struct wal_reader **out);
/* The log as RocksDB wrote it; *got < len: its end. */
int wal_reader_read(struct wal_reader *r, void *data, size_t len, size_t *got);
void wal_reader_close(struct wal_reader *r);

#ifdef __cplusplus
}
#endif

#endif

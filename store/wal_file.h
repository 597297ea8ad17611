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
int wal_sync(struct wal_file *f); /* from any thread */
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

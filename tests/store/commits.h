/* commits.h - commits that can be told from their remains, for the tests that damage and crash.
 *
 * Commit number i puts i into five column families under keys that name it, moves one key that all
 * commits share, and deletes what commit i-1 left in a sixth. So a commit that is there in part, or
 * out of order, shows.
 */
#ifndef TESTS_STORE_COMMITS_H
#define TESTS_STORE_COMMITS_H

#include "store/store.h"

/* Writes commit number (from 0), synced, and moves the mark. */
enum ks_err commits_write(struct store *s, struct store_write *w, uint64_t number,
			  struct ks_why *why);

/* The same, synced or not. */
enum ks_err commits_write_sync(struct store *s, struct store_write *w, uint64_t number, bool sync,
			       struct ks_why *why);

/* How many commits there are, counted from 0 without a gap; -1 when something could not be read.
 * Fails the test when one is torn, wrong, or there behind a gap. */
int64_t commits_count(struct store *s, uint64_t most);

/* Runs this program again as `argv0 --child args...` with extra environment ("NAME=value", ends
 * with NULL) and returns its exit status; what it printed goes to out. */
int commits_run_child(const char *const *args, const char *const *environment, struct buf *out);

/* Copies a directory, one level of directories below it included. */
void commits_copy_dir(const char *from, const char *to);

/* The bytes of a file, which is there. Release with buf_fini. */
struct buf commits_read_file(const char *path);

#endif

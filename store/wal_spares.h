/* wal_spares.h - files that are to become logs: those that were one, and those that are made ahead.
 *
 * A log that has nothing to be written over grows, and syncing what is new to the file system takes several times as
 * long: it writes data and metadata, and waits for a thread of the kernel in between. So while logs are written at all,
 * a thread makes spare files, and makes those that are too short longer: zeros, at a pace that leaves the disk to others.
 *
 * Calls return 0 or an errno. Threads: any. Locks: one of its own, nothing is called under it.
 */
#ifndef STORE_WAL_SPARES_H
#define STORE_WAL_SPARES_H

#include <stdbool.h>
#include <stdint.h>

struct wal_spares;

/* dir: of the database; it need not exist yet. */
struct wal_spares *wal_spares_new(const char *dir);
void wal_spares_free(struct wal_spares *s); /* the files stay; s may be NULL */

/* Makes path, the log of a number, a spare file. false: it could not, path is as it was. */
bool wal_spares_add(struct wal_spares *s, const char *path, uint64_t number);
/* Gives the largest spare file the name path. Returns it, open; -1: there is none. */
int wal_spares_use(struct wal_spares *s, const char *path);
/* Soon there shall be one of so many bytes. */
void wal_spares_want(struct wal_spares *s, uint64_t bytes);
/* Until what was wanted is there, or could not be made; for tests. */
void wal_spares_wait(struct wal_spares *s);

#endif

/* lock.h - DIR/lock: one process owns a data directory.
 *
 * The lock is flock(2)'s, so it goes with its process however that dies; the pid inside is only
 * there for the one who is refused. Everything in the directory, the mark too, is written under it.
 */
#ifndef STORE_LOCK_H
#define STORE_LOCK_H

#include "base/err.h"

/* *fd is the lock until lock_release.
 *   ERR_LOCKED   another process, or another open of this one; why names pid, start and command
 *   ERR_IO, ERR_NO_SPACE */
enum ks_err lock_take(const char *dir, int *fd, struct ks_why *why);
void lock_release(int fd); /* fd may be -1 */

#endif

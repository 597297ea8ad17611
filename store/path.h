/* path.h - what store/ does to directories and files by itself, beside RocksDB. */
#ifndef STORE_PATH_H
#define STORE_PATH_H

#include "base/err.h"

/* From errno: ERR_NO_SPACE, ERR_NOT_FOUND or ERR_IO, with "cannot <verb> <path>: <reason>". */
enum ks_err path_fail(struct ks_why *why, const char *verb, const char *path);

/* Makes the names in a directory durable: created, renamed and removed files. */
enum ks_err path_sync_dir(const char *dir, struct ks_why *why);

bool path_exists(const char *path);

#endif

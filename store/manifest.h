/* manifest.h - the end and the CRC of RocksDB's MANIFEST, which the durable mark remembers as well.
 *
 * The MANIFEST lists the table files. RocksDB takes one that lost its end, or whose records seem to
 * end early because a bit of a length flipped, for the whole: it then opens an older set of tables
 * without a word, the write-ahead log behind it still replays up to the newest sequence number, and
 * what lay between the two is gone. A directory that was copied while its database ran looks so
 * too.
 *
 * The file only grows, until RocksDB begins one with a larger number.
 *
 * Owner: the committing thread.
 */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include <stdint.h>

#include "base/err.h"

struct manifest_end {
	uint64_t number;
	uint64_t bytes;
	uint32_t crc; /* CRC32C of these bytes */
};

/* Does the MANIFEST that DIR/db/CURRENT names still begin with what was seen as `least`? One with a
 * larger number does; of what RocksDB wrote after the last look nothing is known.
 *   ERR_CORRUPTION  no, or there is none
 *   ERR_IO */
enum ks_err manifest_check(const char *dir, const struct manifest_end *least, struct ks_why *why);

/* Follows the MANIFEST of an open database, over changes of the file. */
struct manifest;

enum ks_err manifest_open(const char *dir, struct manifest **out, struct ks_why *why);
/* One fstat as a rule; reads what was appended since the last look. */
enum ks_err manifest_look(struct manifest *m, struct manifest_end *out, struct ks_why *why);
/* Makes what manifest_look saw durable. */
enum ks_err manifest_sync(struct manifest *m, struct ks_why *why);
void manifest_close(struct manifest *m); /* m may be NULL */

#endif

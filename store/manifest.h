/* manifest.h - how far RocksDB's MANIFEST is to be believed when a database is opened.
 *
 * The MANIFEST lists the table files. RocksDB takes one that lost its end, or whose records seem to
 * end early because a bit of a length flipped, for the whole: it then opens an older set of tables
 * without a word, the write-ahead log behind it still replays up to the newest sequence number, and
 * what lay between the two is gone. A directory that was copied while its database ran looks so
 * too. So the durable mark remembers its length and CRC.
 *
 * The file only grows, until RocksDB begins one with a larger number, has that on the disk, and lets
 * CURRENT name it.
 */
#ifndef STORE_MANIFEST_H
#define STORE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

#ifdef __cplusplus
extern "C" {
#endif

struct manifest_end {
	uint64_t number; /* 0: nothing is known */
	uint64_t bytes;  /* of it that are on the disk */
	uint32_t crc;    /* CRC32C of these bytes */
};

/* CURRENT names one of the two. They are the same but while RocksDB changes from one file to the next. */
struct manifest_ends {
	struct manifest_end named, next;
};

/* What an open makes of it. */
struct manifest_view {
	struct manifest_end durable; /* what was on the disk, of the one that CURRENT names */
	uint64_t readable;           /* bytes that RocksDB is to be shown */
};

/* Does the MANIFEST that DIR/db/CURRENT names still begin with what was on the disk? All of it is readable when all of
 * its records are whole, else what was on the disk: RocksDB went on from no record before it was there, so the logs and
 * tables from before a torn one are there, too. A torn one is what a loss of power leaves when a record crosses a page.
 * Of one of a larger number than both nothing is known (durable.number is 0), and all of it is readable.
 *   ERR_CORRUPTION  no, or there is none
 *   ERR_IO */
enum ks_err manifest_check(const char *dir, const struct manifest_ends *ends,
			   struct manifest_view *out, struct ks_why *why);

/* Is this the name of a MANIFEST, without its directory: "MANIFEST-000005"? */
bool manifest_number(const char *name, uint64_t *number);

#ifdef __cplusplus
}
#endif

#endif

/* manifest_guard.h - the mark knows how far the MANIFEST is on the disk before RocksDB does.
 *
 *     RocksDB asks for a sync ──> MANIFEST synced ──> mark synced ──> RocksDB hears of it
 *
 * RocksDB deletes the logs and tables that a record makes needless only after it heard. So whatever lies behind the
 * mark's end when the power is back, torn or whole, what it would have replaced is there.
 *
 * Threads: any; RocksDB writes one MANIFEST at a time.
 */
#ifndef STORE_MANIFEST_GUARD_H
#define STORE_MANIFEST_GUARD_H

#include <stdint.h>

#include "base/err.h"
#include "store/manifest.h"

#ifdef __cplusplus
extern "C" {
#endif

struct manifest_guard;
struct mark;

struct manifest_guard *manifest_guard_new(void);
void manifest_guard_free(struct manifest_guard *g); /* g may be NULL */

/* What the check of an open said; before anything is opened. */
void manifest_guard_trust(struct manifest_guard *g, const struct manifest_view *view);
/* From now on `mark` is told; it hears at once what is known. It has to outlive the database. */
enum ks_err manifest_guard_attach(struct manifest_guard *g, struct mark *mark, struct ks_why *why);

/* For the environment of RocksDB: the MANIFEST of end->number is on the disk up to there. */
enum ks_err manifest_guard_synced(struct manifest_guard *g, const struct manifest_end *end,
				  struct ks_why *why);
/* Likewise: CURRENT names the newest now. */
void manifest_guard_named(struct manifest_guard *g);
/* Likewise: how many bytes of the MANIFEST of this number may be read. */
uint64_t manifest_guard_readable(struct manifest_guard *g, uint64_t number);

#ifdef __cplusplus
}
#endif

#endif

/* mark.h - the durable mark: how far the database must reach when it is opened again.
 *
 * RocksDB opens a database whose write-ahead log lost its end without a word: it cannot know that
 * there was more. The mark knows. After each group commit, before its answers go out, the point
 * it has reached is written to DIR/mark, and an open that finds less is refused.
 *
 *     byte 0     slot 0   magic, counter, synced, written, MANIFEST, boot id, format, CRC32C      96 bytes
 *     byte 4096  slot 1   the same
 *     byte 8191  end
 *
 * Moves alternate between the slots, so a torn write leaves the other one: the one with the larger
 * counter whose CRC is right holds.
 *
 * Two sequence numbers, because two things can happen to a process. `synced` is on the disk and must be
 * there whatever happened. `written` is in the kernel's cache at least and must be there unless the
 * machine went down since, which the boot id tells.
 *
 * How far the MANIFEST is on the disk is durable here before RocksDB hears that it is: manifest_guard.h.
 *
 * Threads: any, of an open mark.
 */
#ifndef STORE_MARK_H
#define STORE_MARK_H

#include <stdint.h>

#include "base/boot.h"
#include "base/err.h"
#include "store/manifest.h"

struct mark_value {
	uint64_t synced, written; /* sequence numbers of the database */
	struct manifest_ends manifests;
	uint32_t format;                /* of the data directory */
	uint8_t boot_id[BOOT_ID_BYTES]; /* of the kernel that took the writes; zeros: not known */
};

struct mark;

/* The value in DIR/mark.
 *   ERR_NOT_FOUND   there is no such file
 *   ERR_CORRUPTION  neither slot is whole
 *   ERR_IO */
enum ks_err mark_read(const char *dir, struct mark_value *out, struct ks_why *why);

/* Makes DIR/mark anew, synced and written up to this sequence number, nothing said of a MANIFEST; durable before it returns. */
enum ks_err mark_create(const char *dir, uint64_t sequence, uint32_t format, struct ks_why *why);

/* Ready for mark_move; DIR/mark exists. */
enum ks_err mark_open(const char *dir, struct mark **out, struct ks_why *why);

/* One pwrite into the older slot. */
enum ks_err mark_move(struct mark *m, uint64_t synced, uint64_t written, struct ks_why *why);

/* Makes the last move durable; nothing to do when it is. */
enum ks_err mark_sync(struct mark *m, struct ks_why *why);

/* Durable before it returns. */
enum ks_err mark_manifests(struct mark *m, const struct manifest_ends *ends, struct ks_why *why);

/* Does not sync. m may be NULL. */
void mark_close(struct mark *m);

/* The sequence number that the database must at least reach when it is opened now. */
uint64_t mark_least(const struct mark_value *v);

#endif

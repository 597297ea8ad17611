/* wal_sequence.h - the sequence numbers of the commits in a write-ahead log.
 *
 *     commit, in one record or in fragments:   first sequence number u64 | count u32 | ...      (little-endian)
 *
 * RocksDB numbers all keys that are ever written, without a gap, so where a log ends says where the next one has to
 * begin. RocksDB itself takes a log that was cut between two records for one that ended there. Pure: no file, no memory.
 */
#ifndef STORE_WAL_SEQUENCE_H
#define STORE_WAL_SEQUENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WAL_COMMIT_BYTES 12 /* of a commit's own header */

/* Zero-initialise for the begin of a log. */
struct wal_sequence {
	bool has_first, has_commit;
	uint64_t first; /* of the first commit, which may have been cut off */
	uint64_t next;  /* what follows the last whole commit; with has_commit */
	/* of the commit that is being read */
	size_t have;
	uint8_t header[WAL_COMMIT_BYTES];
};

/* Takes up the records of the next block of len bytes, without their salt. What is no record ends the block. */
void wal_sequence_read(struct wal_sequence *s, const uint8_t *block, size_t len);

#endif

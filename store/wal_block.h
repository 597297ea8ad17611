/* wal_block.h - the physical records of a write-ahead log, as RocksDB lays them out, and the salt that ties
 * each of them to its file.
 *
 *     block of 32 KiB:   record | record | ... | fewer than 7 bytes: zeros
 *     record:            CRC32C u32, masked | length u16 | type u8 | bytes        (little-endian)
 *
 * A log file that is written over an older one (wal_file.h) ends in what is left of that. So a file's records
 * carry a salt in their CRC, made from the file's number: those of any other number are never taken for its own.
 * Pure: no file, no memory.
 */
#ifndef STORE_WAL_BLOCK_H
#define STORE_WAL_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/mem.h"

#define WAL_BLOCK_BYTES  32768
#define WAL_HEADER_BYTES 7

/* What is XORed into the CRCs of file number's records. Different for different numbers, 0 for none. */
uint32_t wal_salt(uint64_t number);

/* Where in the stream of records a writer stands. Zero-initialise for the begin of a file. */
struct wal_stream {
	size_t in_block; /* bytes of the block that were passed */
	size_t left;     /* bytes of the record's content that follow */
	size_t head;     /* bytes of its header that were passed */
	uint8_t header[WAL_HEADER_BYTES];
};

/* The next stretch of data: true: up to WAL_HEADER_BYTES of a header, salted, copied to out; false: bytes that
 * stay as they are. Returns its length through len, at least 1; data is not empty. */
bool wal_stream_next(struct wal_stream *s, uint32_t salt, struct slice data, uint8_t *out,
		     size_t *len);

/* Takes the salt away from the records of one block of len bytes. Returns how many bytes belong to records that
 * are whole and the file's own: the first other one ends it. */
size_t wal_block_unsalt(uint8_t *block, size_t len, uint32_t salt);

#endif

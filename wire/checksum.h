/* checksum.h - CRC32C (Castagnoli) and Kafka's murmur2. */
#ifndef WIRE_CHECKSUM_H
#define WIRE_CHECKSUM_H

#include <stddef.h>
#include <stdint.h>

uint32_t crc32c(const void *data, size_t len);
/* Continues a finished crc over more data. */
uint32_t crc32c_extend(uint32_t crc, const void *data, size_t len);

/* murmur2 with the seed and the treatment of the Java client; its partitioner is
 * (murmur2(key) & 0x7fffffff) % partitions. */
uint32_t murmur2(const void *data, size_t len);
static inline int32_t murmur2_partition(const void *key, size_t len, int32_t partitions)
{
	return (int32_t)((murmur2(key, len) & 0x7fffffff) % (uint32_t)partitions);
}

#endif

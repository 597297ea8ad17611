/* checksum.c - see checksum.h. */
#include "wire/checksum.h"

#include <isa-l/crc.h>

#define CHUNK_BYTES (1 << 30) /* ISA-L counts in int */

uint32_t crc32c(const void *data, size_t len)
{
	return crc32c_extend(0, data, len);
}

uint32_t crc32c_extend(uint32_t crc, const void *data, size_t len)
{
	unsigned char *p = (unsigned char *)data; /* ISA-L reads only, but does not say so */

	crc = ~crc;
	for (; len > CHUNK_BYTES; len -= CHUNK_BYTES, p += CHUNK_BYTES)
		crc = crc32_iscsi(p, CHUNK_BYTES, crc);
	return ~crc32_iscsi(p, (int)len, crc);
}

#define MURMUR2_SEED 0x9747b28cu
#define MURMUR2_M    0x5bd1e995u

uint32_t murmur2(const void *data, size_t len)
{
	const uint8_t *p = data;
	uint32_t h = MURMUR2_SEED ^ (uint32_t)len;

	for (; len >= 4; len -= 4, p += 4) {
		uint32_t k =
			p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
		k *= MURMUR2_M;
		k ^= k >> 24;
		k *= MURMUR2_M;
		h = (h * MURMUR2_M) ^ k;
	}
	if (len) {
		for (size_t i = len; i > 0; i--)
			h ^= (uint32_t)p[i - 1] << (8 * (i - 1));
		h *= MURMUR2_M;
	}
	h ^= h >> 13;
	h *= MURMUR2_M;
	return h ^ (h >> 15);
}

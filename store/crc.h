/* crc.h - CRC32C by ISA-L, as store/ needs it: finished values in and out. */
#ifndef STORE_CRC_H
#define STORE_CRC_H

#include <stddef.h>
#include <stdint.h>

#include <isa-l.h>

/* Continues a finished crc (0 to begin) over more data. */
static inline uint32_t crc32c_finished(uint32_t crc, const void *data, size_t len)
{
	unsigned char *p = (unsigned char *)(uintptr_t)data; /* ISA-L does not write to it */

	crc = ~crc;
	while (len > 0) {
		int n = len < 1u << 30 ? (int)len : 1 << 30; /* ISA-L counts in int */
		crc = crc32_iscsi(p, n, crc);
		p += n;
		len -= (size_t)n;
	}
	return ~crc;
}

#endif

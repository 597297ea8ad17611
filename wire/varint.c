/* varint.c - the long forms; see varint.h. */
#include "wire/varint.h"

static const uint8_t *read_long(const uint8_t *p, const uint8_t *end, unsigned bits, uint64_t *v)
{
	uint64_t value = 0;

	for (unsigned shift = 0; p < end && shift < bits; shift += 7) {
		uint64_t byte = *p++;
		uint64_t low = byte & 0x7f;
		if (bits - shift < 7 && low >> (bits - shift))
			return NULL; /* bits that the type lacks */
		value |= low << shift;
		if (byte & 0x80)
			continue;
		if (byte == 0 && shift > 0)
			return NULL; /* longer than needed */
		*v = value;
		return p;
	}
	return NULL;
}

const uint8_t *varint_read_long_u32(const uint8_t *p, const uint8_t *end, uint32_t *v)
{
	uint64_t wide;

	p = read_long(p, end, 32, &wide);
	if (p)
		*v = (uint32_t)wide;
	return p;
}

const uint8_t *varint_read_long_u64(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	return read_long(p, end, 64, v);
}

/* varint.h - Kafka's variable-length integers: seven bits a byte, low bits first, the top bit says
 * that more follow; signed ones are zigzag (0, -1, 1, -2 ... become 0, 1, 2, 3 ...).
 *
 * There is one encoding per number: the readers refuse one that is longer than needed, that is over
 * 5 (32 bits) or 10 (64 bits) bytes, or that sets bits which the type lacks. Lengths come first
 * in this protocol and most are below 64, so the one-byte case is inline.
 */
#ifndef WIRE_VARINT_H
#define WIRE_VARINT_H

#include <stddef.h>
#include <stdint.h>

#define VARINT32_BYTES_MAX 5
#define VARINT64_BYTES_MAX 10

/* Out of line: numbers of two bytes and more, with every check. As varint_read_u32 below. */
const uint8_t *varint_read_long_u32(const uint8_t *p, const uint8_t *end, uint32_t *v);
const uint8_t *varint_read_long_u64(const uint8_t *p, const uint8_t *end, uint64_t *v);

static inline uint32_t zigzag32(int32_t v)
{
	return ((uint32_t)v << 1) ^ (uint32_t)(v >> 31);
}
static inline uint64_t zigzag64(int64_t v)
{
	return ((uint64_t)v << 1) ^ (uint64_t)(v >> 63);
}
static inline int32_t unzigzag32(uint32_t z)
{
	return (int32_t)((z >> 1) ^ (0u - (z & 1)));
}
static inline int64_t unzigzag64(uint64_t z)
{
	return (int64_t)((z >> 1) ^ ((uint64_t)0 - (z & 1)));
}

/* Each reader takes one number from [p, end) and returns the place behind it, or NULL when the
 * bytes end too early or are no canonical encoding; *v is then untouched. */
static inline const uint8_t *varint_read_u32(const uint8_t *p, const uint8_t *end, uint32_t *v)
{
	if (__builtin_expect(p < end && *p < 0x80, 1)) {
		*v = *p;
		return p + 1;
	}
	if (end - p >= 2 && p[1] - 1u < 0x7f) { /* two bytes, the second 1..127 */
		*v = (p[0] & 0x7fu) | (uint32_t)p[1] << 7;
		return p + 2;
	}
	return varint_read_long_u32(p, end, v);
}
static inline const uint8_t *varint_read_u64(const uint8_t *p, const uint8_t *end, uint64_t *v)
{
	if (__builtin_expect(p < end && *p < 0x80, 1)) {
		*v = *p;
		return p + 1;
	}
	if (end - p >= 2 && p[1] - 1u < 0x7f) {
		*v = (p[0] & 0x7fu) | (uint64_t)p[1] << 7;
		return p + 2;
	}
	return varint_read_long_u64(p, end, v);
}
static inline const uint8_t *varint_read_i32(const uint8_t *p, const uint8_t *end, int32_t *v)
{
	uint32_t z;

	p = varint_read_u32(p, end, &z);
	if (p)
		*v = unzigzag32(z);
	return p;
}
static inline const uint8_t *varint_read_i64(const uint8_t *p, const uint8_t *end, int64_t *v)
{
	uint64_t z;

	p = varint_read_u64(p, end, &z);
	if (p)
		*v = unzigzag64(z);
	return p;
}

/* Encoded sizes: one byte per begun seven bits, computed without a branch. */
static inline size_t varint_size_u64(uint64_t v)
{
	unsigned bits = 64u - (unsigned)__builtin_clzll(v | 1);
	return (bits * 9 + 64) / 64;
}
static inline size_t varint_size_u32(uint32_t v)
{
	return varint_size_u64(v);
}
static inline size_t varint_size_i32(int32_t v)
{
	return varint_size_u64(zigzag32(v));
}
static inline size_t varint_size_i64(int64_t v)
{
	return varint_size_u64(zigzag64(v));
}

/* Each writer needs room for varint_size bytes at p and returns the place behind the number. */
static inline uint8_t *varint_write_u64(uint8_t *p, uint64_t v)
{
	while (v >= 0x80) {
		*p++ = (uint8_t)(v | 0x80);
		v >>= 7;
	}
	*p++ = (uint8_t)v;
	return p;
}
static inline uint8_t *varint_write_u32(uint8_t *p, uint32_t v)
{
	return varint_write_u64(p, v);
}
static inline uint8_t *varint_write_i32(uint8_t *p, int32_t v)
{
	return varint_write_u64(p, zigzag32(v));
}
static inline uint8_t *varint_write_i64(uint8_t *p, int64_t v)
{
	return varint_write_u64(p, zigzag64(v));
}

#endif

/* partitioner.c - see partitioner.h. */
#include "cli/partitioner.h"

#include <string.h>
#include <zlib.h>

#include "wire/checksum.h"

bool partitioner_from_name(const char *name, enum partitioner *out)
{
	static const char *const names[] = {
		[PARTITIONER_MURMUR2_RANDOM] = "murmur2_random",
		[PARTITIONER_MURMUR2] = "murmur2",
		[PARTITIONER_CONSISTENT_RANDOM] = "consistent_random",
		[PARTITIONER_CONSISTENT] = "consistent",
		[PARTITIONER_FNV1A_RANDOM] = "fnv1a_random",
		[PARTITIONER_FNV1A] = "fnv1a",
		[PARTITIONER_RANDOM] = "random",
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(names[i], name) == 0) {
			*out = (enum partitioner)i;
			return true;
		}
	}
	return false;
}

static int32_t by_crc32(struct slice key, int32_t partitions)
{
	uLong crc = crc32_z(0, NULL, 0);

	if (key.len)
		crc = crc32_z(crc, key.data, key.len);
	return (int32_t)(crc % (uint32_t)partitions);
}

/* Of the hash as a signed number the amount counts, as in Sarama. */
static int32_t by_fnv1a(struct slice key, int32_t partitions)
{
	uint32_t h = 0x811c9dc5;

	for (size_t i = 0; i < key.len; i++)
		h = (h ^ key.data[i]) * 0x01000193;
	if (h > INT32_MAX)
		h = 0 - h;
	return (int32_t)(h % (uint32_t)partitions);
}

int32_t partitioner_choose(enum partitioner p, struct slice key, int32_t partitions)
{
	if (p == PARTITIONER_RANDOM || (p == PARTITIONER_CONSISTENT_RANDOM && key.len == 0))
		return -1;
	if (!key.data && (p == PARTITIONER_MURMUR2_RANDOM || p == PARTITIONER_FNV1A_RANDOM))
		return -1;
	if (p == PARTITIONER_MURMUR2 || p == PARTITIONER_MURMUR2_RANDOM)
		return murmur2_partition(key.len ? (const void *)key.data : "", key.len,
					 partitions);
	if (p == PARTITIONER_FNV1A || p == PARTITIONER_FNV1A_RANDOM)
		return by_fnv1a(key, partitions);
	return by_crc32(key, partitions);
}

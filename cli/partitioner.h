/* partitioner.h - which partition a key belongs to, as other clients see it.
 *
 * Two producers that share a topic must agree, or the records of one key are spread over partitions. murmur2_random is the
 * Java client's, consistent_random librdkafka's default, fnv1a_random what Sarama does.
 */
#ifndef CLI_PARTITIONER_H
#define CLI_PARTITIONER_H

#include <stdbool.h>

#include "base/mem.h"

enum partitioner {
	PARTITIONER_MURMUR2_RANDOM,    /* records without a key go anywhere */
	PARTITIONER_MURMUR2,           /* without a key counts as an empty key */
	PARTITIONER_CONSISTENT_RANDOM, /* CRC32; with an empty key anywhere, too */
	PARTITIONER_CONSISTENT,
	PARTITIONER_FNV1A_RANDOM,
	PARTITIONER_FNV1A,
	PARTITIONER_RANDOM,
};

/* By the names of librdkafka; false: there is none such. */
bool partitioner_from_name(const char *name, enum partitioner *out);
/* -1: any will do. partitions >= 1. */
int32_t partitioner_choose(enum partitioner p, struct slice key, int32_t partitions);

#endif

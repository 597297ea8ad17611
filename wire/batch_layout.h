/* batch_layout.h - where the fields of a batch's header lie; private to this folder. See batch.h.
 */
#ifndef WIRE_BATCH_LAYOUT_H
#define WIRE_BATCH_LAYOUT_H

#include "base/mem.h"
#include "wire/checksum.h"

enum {
	AT_BASE_OFFSET = 0,
	AT_LENGTH = 8,
	AT_LEADER_EPOCH = 12,
	AT_MAGIC = 16,
	AT_CRC = 17,
	AT_ATTRIBUTES = 21, /* the CRC covers from here on */
	AT_LAST_OFFSET_DELTA = 23,
	AT_BASE_TIMESTAMP = 27,
	AT_MAX_TIMESTAMP = 35,
	AT_PRODUCER_ID = 43,
	AT_PRODUCER_EPOCH = 51,
	AT_BASE_SEQUENCE = 53,
	AT_RECORD_COUNT = 57,
	AT_RECORDS = 61,
};

enum {
	ATTRIBUTE_CODEC = 0x07,
	ATTRIBUTE_LOG_APPEND_TIME = 0x08,
	ATTRIBUTE_TRANSACTIONAL = 0x10,
	ATTRIBUTE_CONTROL = 0x20,
	ATTRIBUTE_DELETE_HORIZON =
		0x40, /* base timestamp is a delete horizon; only a cleaner sets it */
	ATTRIBUTES_RESERVED = 0xff80,
};

#define BATCH_MAGIC 2

static inline uint32_t batch_crc(const uint8_t *batch, size_t len)
{
	return crc32c(batch + AT_ATTRIBUTES, len - AT_ATTRIBUTES);
}

#endif

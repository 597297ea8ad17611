/* keys.h - every key and value that the broker keeps in the store, in one place.
 *
 * Byte by byte they are described in docs/storage.md. Integers are big-endian, so that RocksDB's
 * order is theirs. Keys of the small column families start with a type byte, values with a version
 * byte; the keys of the log and its index have neither, they are too many. Decoders check every
 * length and answer false on anything that an encoder here would not have written.
 */
#ifndef BROKER_KEYS_H
#define BROKER_KEYS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/boot.h"
#include "base/mem.h"

/* CF_LOG: partition id, last offset of the value's last batch -> consecutive batches. */
#define KEY_LOG_BYTES 12
struct key_log {
	uint8_t bytes[KEY_LOG_BYTES];
};
struct key_log key_log(uint32_t partition_id, int64_t last_offset);
bool key_log_decode(struct slice key, uint32_t *partition_id, int64_t *last_offset);

/* CF_INDEX: partition id, max timestamp so far, last offset -> position.
 * No record up to last_offset has a later timestamp. */
#define KEY_INDEX_BYTES 20
struct key_index {
	uint8_t bytes[KEY_INDEX_BYTES];
};
struct index_entry {
	uint32_t partition_id;
	int64_t max_timestamp; /* ms; -1: no record had one */
	int64_t last_offset;
	uint64_t position; /* bytes of all batches ever appended up to last_offset */
};
struct key_index key_index(uint32_t partition_id, int64_t max_timestamp, int64_t last_offset);
#define VALUE_INDEX_BYTES 9
struct value_index {
	uint8_t bytes[VALUE_INDEX_BYTES];
};
struct value_index value_index(uint64_t position);
bool index_decode(struct slice key, struct slice value, struct index_entry *e);

/* Partition ids that follow each other, never used again. A topic has one extent from its creation
 * and one more for each time it grew. */
struct extent {
	uint32_t first_id, count; /* count > 0 */
};
#define EXTENT_BYTES 8 /* of one, in the extents of a topic record */
void extent_append(struct buf *extents, const struct extent *e);
struct extent extent_at(struct slice extents, size_t i);
static inline size_t extent_count(struct slice extents)
{
	return extents.len / EXTENT_BYTES;
}

/* CF_TOPICS 't': topic id -> topic. */
#define TOPIC_UUID_BYTES 16
struct topic_record {
	uint32_t topic_id;
	struct slice extents;     /* borrowed: rising, at least one */
	uint32_t partition_count; /* of all extents; told by the decoder */
	bool is_internal;
	bool has_uuid; /* false: the record is of version 1 */
	uint8_t uuid[TOPIC_UUID_BYTES];
	int64_t created_ms;
	struct slice name; /* borrowed */
	struct slice
		configs; /* borrowed: config_count times key and value, each behind a u16 length */
	uint16_t config_count;
};
#define KEY_ID_BYTES 5
struct key_id {
	uint8_t bytes[KEY_ID_BYTES];
};
struct key_id key_topic(uint32_t topic_id);
/* Writes version 2, whatever r came from. */
void topic_record_encode(struct buf *value, const struct topic_record *r);
/* Reads versions 1 and 2. The slices point into key and value. */
bool topic_record_decode(struct slice key, struct slice value, struct topic_record *r);
/* Takes one key and value off the configs. false: none left or malformed. */
bool topic_record_config(struct slice *configs, struct slice *key, struct slice *value);

/* CF_TOPICS 's': partition id -> where its log starts; absent: at 0. */
struct log_start {
	uint32_t partition_id;
	int64_t offset;
	uint64_t position; /* bytes of all batches that were trimmed */
};
#define VALUE_LOG_START_BYTES 17
struct value_log_start {
	uint8_t bytes[VALUE_LOG_START_BYTES];
};
struct key_id key_log_start(uint32_t partition_id);
struct value_log_start value_log_start(const struct log_start *s);
bool log_start_decode(struct slice key, struct slice value, struct log_start *s);

/* CF_TOPICS 'k': partition id -> how far compaction has come; absent: it never was there. */
struct cleaned {
	uint32_t partition_id;
	int64_t offset; /* below it no key has two records; 0: no cleaning was finished yet */
	int64_t max_timestamp; /* ms, of what is left below offset; -1: nothing has one */
	int64_t holes_below;   /* below it batches may be missing; at least offset */
	uint64_t position;     /* of offset, as index_entry has it */
	uint64_t
		shift; /* to be added to the positions of index entries below offset, modulo 2^64 */
	/* Bytes that a cleaning took from below offset and from above it; 0 once it has finished.
	 */
	uint64_t removed_clean, removed_dirty;
};
#define VALUE_CLEANED_BYTES 57
struct value_cleaned {
	uint8_t bytes[VALUE_CLEANED_BYTES];
};
struct key_id key_cleaned(uint32_t partition_id);
struct value_cleaned value_cleaned(const struct cleaned *c);
bool cleaned_decode(struct slice key, struct slice value, struct cleaned *c);

/* CF_OFFSETS 'o': group, partition id -> offset and when it was committed. */
void key_offset(struct buf *key, struct slice group, uint32_t partition_id);
bool key_offset_decode(struct slice key, struct slice *group, uint32_t *partition_id);
/* What a job commits. */
#define VALUE_OFFSET_BYTES 17
struct value_offset {
	uint8_t bytes[VALUE_OFFSET_BYTES];
};
struct value_offset value_offset(int64_t offset, int64_t commit_time_ms);
/* What a client commits has more to it. */
struct stored_offset {
	int64_t offset; /* a client may commit anything; below 0 there is none to read from */
	int64_t commit_time_ms;
	int64_t expire_time_ms; /* asked for by the client; -1: as the broker keeps them */
	int32_t leader_epoch;   /* -1: not told */
	struct slice metadata;  /* never null */
};
void stored_offset_encode(struct buf *value, const struct stored_offset *o);
/* Of either kind; the metadata points into value. */
bool stored_offset_decode(struct slice value, struct stored_offset *o);

/* CF_TXN 'a': partition id, offset of the marker -> a transaction that was aborted in the partition. */
struct aborted {
	uint32_t partition_id;
	int64_t marker_offset;
	int64_t first_offset;
	int64_t stable_offset; /* no transaction that ends behind the marker began below */
	int64_t producer_id;
};
/* 'q': partition id, producer id, offset of the marker -> the same, to be found by its producer. */
#define KEY_ABORTED_BYTES 13
struct key_aborted {
	uint8_t bytes[KEY_ABORTED_BYTES];
};
#define VALUE_ABORTED_BYTES 25
struct value_aborted {
	uint8_t bytes[VALUE_ABORTED_BYTES];
};
struct key_aborted key_aborted(uint32_t partition_id, int64_t marker_offset);
struct value_aborted value_aborted(const struct aborted *a);
bool aborted_decode(struct slice key, struct slice value, struct aborted *a);
#define KEY_ABORTED_BY_BYTES 21
struct key_aborted_by {
	uint8_t bytes[KEY_ABORTED_BY_BYTES];
};
struct key_aborted_by key_aborted_by(uint32_t partition_id, int64_t producer_id,
				     int64_t marker_offset);
/* The value is the same. */
bool aborted_by_decode(struct slice key, struct slice value, struct aborted *a);

/* CF_TXN 'o': producer id, group, partition id -> an offset that its open transaction will commit. Its order is higher than
 * that of any that was there when it came; 0: a later commit has overtaken it, and it will not become the group's. */
#define KEY_TYPE_PENDING 'o'
void key_pending(struct buf *key, int64_t producer_id, struct slice group, uint32_t partition_id);
bool key_pending_decode(struct slice key, int64_t *producer_id, struct slice *group,
			uint32_t *partition_id);
void pending_encode(struct buf *value, uint64_t order, const struct stored_offset *o);
/* The metadata points into value. */
bool pending_decode(struct slice value, uint64_t *order, struct stored_offset *o);

/* CF_META 'i': the next unused ids. */
struct ids {
	uint32_t topic, partition, job;
};
#define VALUE_IDS_BYTES 13
struct value_ids {
	uint8_t bytes[VALUE_IDS_BYTES];
};
struct value_ids value_ids(const struct ids *ids);
bool ids_decode(struct slice value, struct ids *ids);

/* CF_META 'b': the index of the newest WriteBatch and the leader epoch that wrote it. */
#define VALUE_BATCH_INDEX_BYTES 13
struct value_batch_index {
	uint8_t bytes[VALUE_BATCH_INDEX_BYTES];
};
struct value_batch_index value_batch_index(uint64_t index, uint32_t leader_epoch);
bool batch_index_decode(struct slice value, uint64_t *index, uint32_t *leader_epoch);

/* CF_META 'p': the first producer id that is not reserved; all below may have been given out. */
#define VALUE_PRODUCER_IDS_BYTES 9
struct value_producer_ids {
	uint8_t bytes[VALUE_PRODUCER_IDS_BYTES];
};
struct value_producer_ids value_producer_ids(int64_t next);
bool producer_ids_decode(struct slice value, int64_t *next);

/* CF_META 'u': under which start of the machine records of transactions were acknowledged that were not on the disk yet.
 * None: under none. */
#define VALUE_BOOT_BYTES (1 + BOOT_ID_BYTES)
struct value_boot {
	uint8_t bytes[VALUE_BOOT_BYTES];
};
struct value_boot value_boot(const uint8_t id[BOOT_ID_BYTES]);
bool boot_decode(struct slice value, uint8_t id[BOOT_ID_BYTES]);

/* CF_META 'c': the cluster id, CLUSTER_ID_BYTES letters behind a version byte. */
extern const struct slice key_ids, key_batch_index, key_producer_ids, key_cluster_id, key_boot;

/* A slice of any of the structs above. */
#define KEY_SLICE(k) slice_of((k).bytes, sizeof(k).bytes)

#endif

/* broker.h - the broker's public face: topics, appends, reads, group offsets, a job's commit.
 *
 * Behind it stands one shard (shard.h): one thread that owns the store and is its only writer.
 * Every call that changes something becomes a command in the shard's queue; the shard gathers all
 * commands that arrived while the last write was under way into one WriteBatch, writes and syncs
 * it, publishes the new high watermarks and only then answers. Reads never enter the shard: they
 * use what was published.
 *
 * Threads: every function may be called from any thread unless it says otherwise. Completion
 * callbacks run on the shard's thread (or within broker_run_queued) and must not block.
 *
 * Storage errors. When the store fails, the outcome of the write under way is unknown: the shard
 * answers nothing more as success, every later command gets the error, and broker_failure() tells
 * the sentence. The process is expected to stop with it.
 */
#ifndef BROKER_BROKER_H
#define BROKER_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/tally.h"
#include "store/store.h"
#include "wire/aborted.h"
#include "wire/batch.h"

struct broker;
struct topic;
struct partition;

/* Consumer groups over the wire, by Kafka's names. Zero is Kafka's default, except where it says
 * otherwise. */
struct group_options {
	/* The classic protocol. */
	int32_t initial_rebalance_delay_ms; /* group.initial.rebalance.delay.ms: 3000; < 0: none */
	int32_t min_session_timeout_ms;     /* group.min.session.timeout.ms: 6000 */
	int32_t max_session_timeout_ms;     /* group.max.session.timeout.ms: 1,800,000 */
	int32_t max_size;                   /* group.max.size: 2^31 - 1 */
	/* The consumer protocol (KIP-848). */
	int32_t consumer_session_timeout_ms;    /* group.consumer.session.timeout.ms: 45,000 */
	int32_t consumer_heartbeat_interval_ms; /* group.consumer.heartbeat.interval.ms: 5000 */
	int32_t consumer_max_size;              /* group.consumer.max.size: 2^31 - 1 */
	/* group.consumer.assignors: "uniform,range"; the first is the default. Copied. */
	const char *consumer_assignors;
	/* Offsets. */
	int32_t offset_metadata_max_bytes; /* offset.metadata.max.bytes: 4096 */
	int64_t offsets_retention_minutes; /* offsets.retention.minutes: 10,080; < 0: for ever */
	int64_t offsets_retention_check_interval_ms; /* 600,000 */
	/* Ours: what all groups together may take. */
	int32_t groups_max;     /* 0: 100,000 */
	size_t state_bytes_max; /* members' metadata and assignments; 0: 256 MiB */
};

/* Transactions, by Kafka's names. Zero is Kafka's default. */
struct txn_options {
	int32_t max_timeout_ms;      /* transaction.max.timeout.ms: 900,000 */
	int64_t id_expiration_ms;    /* transactional.id.expiration.ms: 604,800,000 */
	int32_t abort_interval_ms;   /* transaction.abort.timed.out...interval.ms: 10,000 */
	int32_t cleanup_interval_ms; /* transaction.remove.expired...interval.ms: 3,600,000 */
	/* Ours. */
	int32_t ids_max;            /* transactional ids that are known at once; 0: 100,000 */
	int32_t check_interval_ms;  /* between two looks for transactions that hang; 0: 60,000 */
	bool no_connection_defence; /* see coordinator_call.connection */
};

#define BROKER_PARTITIONS_MAX 100000 /* of all topics */
#define BROKER_TOPIC_NAME_MAX 249    /* bytes; [a-zA-Z0-9._-]+, not "." or ".." */

struct config_entry {
	const char *key, *value; /* Kafka's names: retention.ms, cleanup.policy, ... */
};

struct broker_options {
	const char *dir; /* data directory; NULL: in memory, for tests */
	struct store_options store;
	const struct clock *clock; /* NULL: the real one */
	size_t tail_bytes;         /* of all tail buffers; 0: default 16 MiB */
	size_t queue_bytes_max; /* commands waiting for the shard; 0: default 64 MiB; senders block
				   above it */
	size_t group_bytes_max; /* one WriteBatch; 0: default 8 MiB */
	bool no_sync; /* acknowledge what power loss can take back; kill -9 still cannot */
	bool auto_create_topics;
	int32_t default_partitions;     /* 0: 1 */
	int64_t producer_expiration_ms; /* since its last append, of the broker's clock; 0: a day */
	size_t producers_max;   /* that partitions remember, in all; above it the one that was
			       * quiet for longest is forgotten; 0: default 100,000 */
	int retention_check_ms; /* between two looks at retention; 0: default 30 s */
	/* Compaction: the longest pause between two looks (log.cleaner.backoff.ms; 0: default 15 s; shorter
	 * where topics ask for less), memory for keys (log.cleaner.dedupe.buffer.size; 0: default
	 * 128 MiB, taken as far as it is needed), and whether there is none (log.cleaner.enable). */
	int compaction_check_ms;
	size_t compaction_map_bytes;
	bool no_compaction;
	struct group_options groups;
	struct txn_options txns;
	/* BOOT_ID_BYTES, borrowed until broker_open returns; NULL: the kernel's. Tests pretend that the machine went down. */
	const uint8_t *boot_id;
	/* What topics have that say nothing else, under the broker's names (log.retention.hours, ...);
	 * borrowed until broker_open returns, which refuses what broker_default_check would. */
	const struct config_entry *topic_defaults;
	size_t topic_default_count;
};

/* Whether the entry may stand in topic_defaults. ERR_NOT_FOUND: topics have no such default, the key is
 * perhaps somebody else's; ERR_INVALID_CONFIG: the value is impossible, why says which are not. */
enum ks_err broker_default_check(const struct config_entry *entry, struct ks_why *why);
/* The i-th key that may stand there; NULL behind the last. */
const char *broker_default_key(size_t i);
/* What a topic calls that of which the broker has the default under this name; NULL: no topic has it. */
const char *broker_default_topic_key(const char *key);
enum ks_err broker_open(const struct broker_options *options, struct broker **out,
			struct ks_why *why);
/* Finishes the commands that are queued, closes the store. b may be NULL. */
void broker_close(struct broker *b);
/* NULL while the store is healthy, else why it failed; valid until broker_close. */
const char *broker_failure(struct broker *b);
/* The store, for reading only (job state). */
struct store *broker_store(struct broker *b);
const struct clock *broker_clock(struct broker *b);
/* The data directory, NULL: in memory; and what a topic has that names no number of partitions. */
const char *broker_dir(const struct broker *b);
int32_t broker_default_partitions(const struct broker *b);
#define CLUSTER_ID_BYTES 22
/* The id that this directory has had since it was first asked for: 16 random bytes in base64url, as Kafka has them. id gets
 * CLUSTER_ID_BYTES letters and a NUL. Blocks when it is made. */
enum ks_err broker_cluster_id(struct broker *b, char *id, struct ks_why *why);

/* --- topics. They block until the change is durable. --- */

/* A topic's number for ever, which a later topic of the same name does not share. */
struct topic_uuid {
	uint8_t bytes[16];
};

struct topic_spec {
	const char *name;
	const struct topic_uuid *uuid; /* that no topic has; NULL: a random one */
	int32_t partitions;            /* <= 0: the broker's default */
	const struct config_entry *configs;
	size_t config_count;
	bool is_internal; /* repartition topics of jobs */
};

/* ERR_TOPIC_ALREADY_EXISTS, ERR_INVALID_TOPIC_EXCEPTION, ERR_INVALID_PARTITIONS, ERR_INVALID_CONFIG
 * (why names the key, the value and a near miss). */
enum ks_err broker_topic_create(struct broker *b, const struct topic_spec *spec,
				struct ks_why *why);
/* Checks a spec as create would, and changes nothing. b NULL: one with Kafka's defaults and no topics. */
enum ks_err broker_topic_validate(struct broker *b, const struct topic_spec *spec,
				  struct ks_why *why);
enum ks_err broker_topic_delete(struct broker *b, const char *name, struct ks_why *why);
/* More partitions, behind those that are there, new_count in all. Handles and the partitions that
 * were there stay as they are; what keys map to changes, which is the caller's business.
 * ERR_UNKNOWN_TOPIC_OR_PARTITION, ERR_INVALID_PARTITIONS (not more than now, or over the limit). */
enum ks_err broker_topic_add_partitions(struct broker *b, const char *name, int32_t new_count,
					struct ks_why *why);
/* Checks as broker_topic_add_partitions would, and changes nothing. */
enum ks_err broker_topic_check_partitions(struct broker *b, const char *name, int32_t new_count,
					  struct ks_why *why);
/* Sets some configurations; value NULL: back to the default. All or none: ERR_INVALID_CONFIG. */
enum ks_err broker_topic_alter(struct broker *b, const char *name,
			       const struct config_entry *configs, size_t count,
			       struct ks_why *why);
/* As IncrementalAlterConfigs numbers them. */
enum config_op { CONFIG_SET, CONFIG_DELETE, CONFIG_APPEND, CONFIG_SUBTRACT };
struct config_change {
	const char *key,
		*value; /* value: not for DELETE; items with commas between for the last two */
	enum config_op op;
};
/* All of them or none. validate_only: checks, and changes nothing.
 *   ERR_INVALID_CONFIG   as creating; also APPEND and SUBTRACT where the value is no list
 *   ERR_INVALID_REQUEST  an unknown op, a missing value, one key twice */
enum ks_err broker_topic_change_configs(struct broker *b, const char *name,
					const struct config_change *changes, size_t count,
					bool validate_only, struct ks_why *why);
/* These are set from now on and no others (AlterConfigs). As above. */
enum ks_err broker_topic_replace_configs(struct broker *b, const char *name,
					 const struct config_entry *configs, size_t count,
					 bool validate_only, struct ks_why *why);
/* Raises the log start offset of a partition (DeleteRecords); offset -1: the high watermark.
 * ERR_OFFSET_OUT_OF_RANGE, ERR_POLICY_VIOLATION (a topic that is only compacted). */
enum ks_err broker_trim(struct broker *b, struct partition *p, int64_t offset,
			int64_t *log_start_offset, struct ks_why *why);
/* Gives the space of what was trimmed back to the file system; may take seconds. */
enum ks_err broker_reclaim(struct broker *b, struct ks_why *why);

/* Handles stay valid until broker_close; those of a deleted topic answer
 * ERR_UNKNOWN_TOPIC_OR_PARTITION. */
struct topic *broker_topic_find(struct broker *b, const char *name); /* NULL: no such topic */
/* By its uuid; NULL: no such topic. */
struct topic *broker_topic_find_uuid(struct broker *b, const struct topic_uuid *uuid);
/* Creates it with defaults when the broker is allowed to (auto_create_topics). */
struct topic *broker_topic_find_or_create(struct broker *b, const char *name, struct ks_why *why);
/* All topics in the order of their names; free() the array. */
struct topic **broker_topics(struct broker *b, size_t *count);
/* The existing name nearest to a misspelt one, or NULL; free() it. */
char *broker_topic_suggest(struct broker *b, const char *name);

/* Any thread. The name lives as long as the broker, also when the topic is deleted; none of the three changes. */
const char *topic_name(const struct topic *t);
uint32_t topic_id(const struct topic *t);
bool topic_is_internal(const struct topic *t);
bool topic_is_deleted(
	const struct topic *t); /* or about to be; waiters are woken after it became true */
struct topic_uuid topic_uuid(const struct topic *t); /* random, kept for the topic's life */
/* Grows when partitions are added, at any time; never shrinks. */
int32_t topic_partition_count(const struct topic *t);
struct partition *topic_partition(struct topic *t, int32_t index); /* index in range */

/* What an append is held against; one atomic read each. */
int32_t topic_max_message_bytes(const struct topic *t); /* max.message.bytes, of one batch */
bool topic_wants_keys(const struct topic *t);           /* cleanup.policy has "compact" */
enum batch_timestamp_type topic_timestamp_type(const struct topic *t);
/* How far a record's timestamp may lie before and after the broker's clock. */
int64_t topic_timestamp_before_max_ms(const struct topic *t);
int64_t topic_timestamp_after_max_ms(const struct topic *t);
int32_t topic_min_insync_replicas(const struct topic *t);
/* compression.type: the codec that batches shall have; false: whatever the producer chose. */
bool topic_codec(const struct topic *t, enum codec *codec);
/* --- configurations, as DescribeConfigs tells and numbers them --- */

enum config_source { CONFIG_OF_TOPIC = 1, CONFIG_OF_BROKER = 4, CONFIG_DEFAULT = 5 };
enum config_type {
	CONFIG_BOOLEAN = 1,
	CONFIG_STRING,
	CONFIG_INT,
	CONFIG_SHORT,
	CONFIG_LONG,
	CONFIG_DOUBLE,
	CONFIG_LIST,
	CONFIG_CLASS,
	CONFIG_PASSWORD
};
struct config_synonym {
	const char *key, *value; /* key: perhaps the broker's, value in its unit */
	enum config_source source;
};
struct topic_config_row {
	const char *key, *value; /* value: may be NULL in broker_configs */
	enum config_source source;
	enum config_type type;
	bool is_default; /* never set on the topic itself; in broker_configs: on the broker */
	bool is_read_only, is_sensitive;
	const struct config_synonym *synonyms; /* what would hold, the first being what does */
	size_t synonym_count;
};
/* Effective configuration of a topic, by key. One block of memory: free() the array. Strings may also
 * be the broker's: until broker_close. */
struct topic_config_row *topic_configs(struct topic *t, size_t *count);
/* What a topic would have that is created so; the errors of creating as far as configurations go. */
enum ks_err broker_spec_configs(struct broker *b, const struct topic_spec *spec,
				struct topic_config_row **rows, size_t *count, struct ks_why *why);
/* The defaults of all topics under the broker's names: log.retention.hours, ... */
struct topic_config_row *broker_configs(struct broker *b, size_t *count);

/* --- partitions and reading --- */

/* Any thread. Partitions and topics live as long as the broker; the log start offset only rises. */
struct topic *partition_topic(const struct partition *p);
int32_t partition_index(const struct partition *p);
int64_t partition_log_start_offset(const struct partition *p);
/* Where to go on when a read below the high watermark is out of range: the log start offset, or where a trim that is
 * being written will have put it. */
int64_t partition_next_start_offset(const struct partition *p);
int64_t
partition_high_watermark(const struct partition *p); /* offset after the last readable record */
/* Where a reader of committed records has to stop: every transaction that began below it has ended. At least the
 * log start offset, at most the high watermark; moves in the same moment as that. */
int64_t partition_last_stable_offset(const struct partition *p);
uint64_t partition_size_bytes(const struct partition *p); /* of its batches */
/* Bytes of all batches that were ever appended: grows by what a reader at the end has to read. */
uint64_t partition_end_position(const struct partition *p);
/* The same as far as the last stable offset: grows by what a reader of committed records has to read. */
uint64_t partition_stable_position(const struct partition *p);

/* Consecutive record batches of one partition. The bytes are shared: never write to them. */
struct chunk {
	struct frame *frame; /* holds one reference; release with chunk_fini */
	struct slice bytes;  /* whole batches, within the frame */
	bool is_verified;    /* CRCs were checked on this path already */
};
void chunk_fini(struct chunk *c);

/* The end of a read that goes as far as the high watermark. */
#define READ_UNCOMMITTED INT64_MAX

/* What the tail buffers hold from offset on, without blocking and without copying, but for small neighbours, which are
 * gathered: at most chunks_max pieces that follow each other and at most max_bytes; the first batch even if it is
 * larger, unless is_strict: then *count may be 0. The first batch may begin below offset. Nothing of a batch that
 * reaches end is given out; end: READ_UNCOMMITTED, or a last stable offset that was taken before.
 *   ERR_EMPTY            offset is the high watermark, or there is nothing below end: wait
 *   ERR_NOT_FOUND        the tail does not reach back to offset: a reader has to read the store
 *   ERR_OFFSET_OUT_OF_RANGE, ERR_UNKNOWN_TOPIC_OR_PARTITION (the topic was deleted) */
enum ks_err partition_read_now(struct partition *p, int64_t offset, int64_t end, size_t max_bytes,
			       bool is_strict, struct chunk *chunks, size_t chunks_max,
			       size_t *count);

/* A transaction that was aborted: its producer's records from first_offset up to its marker are void. */
struct aborted_transaction {
	int64_t producer_id, first_offset;
};
/* Those that a reader of these chunks, which follow each other, has to know, by first offset: each has records or its
 * marker in them. free() the rows; NULL and 0: none. To be asked after the chunks were read, and they after the last
 * stable offset that was their end: then nothing is missed. A partition in which nothing was aborted lately costs one
 * atomic read.
 *   ERR_NOT_FOUND   it takes a look at the store, and may_block is false
 *   ERR_OFFSET_OUT_OF_RANGE, ERR_UNKNOWN_TOPIC_OR_PARTITION   they were trimmed since: nothing of them may be given out
 *   ERR_IO, ERR_CORRUPTION */
enum ks_err partition_aborted(struct partition *p, const struct chunk *chunks, size_t count,
			      bool may_block, struct aborted_transaction **rows, size_t *row_count,
			      struct ks_why *why);

/* One reader of one partition; belongs to one thread at a time. Serves from the tail buffers when
 * it can and keeps an iterator for catching up. */
struct reader;
struct reader *reader_new(struct partition *p);
void reader_free(struct reader *r);
/* The batches from the one that holds offset on, about max_bytes (at least one batch; more than
 * max_bytes only when the first is larger). The first batch may begin below offset; in a compacted log
 * also above it, batches may have fewer records than offsets, even none, and offsets between two
 * batches may be missing: go on behind the last batch's last offset. ERR_EMPTY
 * offset is the high watermark: wait ERR_OFFSET_OUT_OF_RANGE  below the log start offset or above
 * the high watermark ERR_CORRUPTION, ERR_IO   why has the place */
enum ks_err reader_read(struct reader *r, int64_t offset, size_t max_bytes, struct chunk *out,
			struct ks_why *why);
/* The same, up to end as in partition_read_now. */
enum ks_err reader_read_to(struct reader *r, int64_t offset, int64_t end, size_t max_bytes,
			   struct chunk *out, struct ks_why *why);
/* The same for committed records alone: up to the last stable offset of p, the reader's partition, and which batches of
 * out are to be passed over because they were aborted. Markers, which are control batches, are left to the caller. */
enum ks_err reader_read_committed(struct reader *r, struct partition *p, int64_t offset,
				  size_t max_bytes, struct chunk *out,
				  struct aborted_batches *aborted, struct ks_why *why);

/* The first offset whose record has a timestamp >= timestamp. ERR_NOT_FOUND: none has. */
enum ks_err partition_offset_for_timestamp(struct partition *p, int64_t timestamp, int64_t *offset,
					   int64_t *found_timestamp);

/* The record with the latest timestamp of all, the first if there are several. ERR_NOT_FOUND: the
 * log is empty or no record has a timestamp. Cheap, unless the latest record ever was trimmed or
 * compacted away and later ones are older: then the log is read once. */
enum ks_err partition_max_timestamp_offset(struct partition *p, int64_t *offset,
					   int64_t *timestamp);

/* Who waits for any of several partitions to grow, or to lose their topic: a thread that sleeps, or
 * a callback. Watching and freeing is for one thread at a time. */
struct waiter;
struct waiter *waiter_new(void);
void waiter_free(struct waiter *w); /* also stops watching; w may be NULL */
/* Until waiter_unwatch or waiter_free. */
void waiter_watch(struct waiter *w, struct partition *p);
void waiter_unwatch(struct waiter *w, struct partition *p); /* p is watched */
void waiter_wake(struct waiter *w);                         /* from any thread */

/* For a thread. Take the ticket before looking at the partitions. */
uint64_t waiter_ticket(struct waiter *w);
/* Returns at once when something happened since the ticket was taken, else when it does, or after
 * the timeout. */
void waiter_wait(struct waiter *w, uint64_t ticket, int timeout_ms);

/* For a callback. It is made unarmed; arm it before looking at the partitions, so that nothing that
 * happens after the look is missed. The first thing that happens then calls wake, once, and
 * disarms. wake runs on the shard's thread (or waiter_wake's) inside a lock: it must not block and
 * must call nothing of the broker. After waiter_free no call is under way and none will come. */
struct waiter *waiter_new_callback(void (*wake)(void *arg), void *arg);
void waiter_arm(struct waiter *w);

/* --- appending --- */

enum acks { ACKS_NONE = 0, ACKS_LEADER = 1, ACKS_ALL = -1 };

/* One append command. The caller keeps the struct alive until done is called, exactly once. All
 * batches are appended, or none is:
 *   ERR_UNKNOWN_TOPIC_OR_PARTITION   the topic was deleted
 *   ERR_MESSAGE_TOO_LARGE            a batch is over the topic's max.message.bytes
 *   ERR_CORRUPT_MESSAGE, ERR_INVALID_RECORD
 *   ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, ERR_INVALID_PRODUCER_EPOCH   batches with a producer id
 *   ERR_INVALID_TXN_STATE, ERR_TRANSACTION_ABORTABLE (said since Produce 11), ERR_INVALID_PRODUCER_ID_MAPPING
 *                                    batches of a transaction that is not open, or has not got the
 *                                    partition; others while one is open
 *   ERR_NOT_LEADER_OR_FOLLOWER       batches of a transaction that come late, on an older connection
 *   ERR_NONE with an older base_offset: they are in the log already, a producer sent them again
 *   ERR_IO, ERR_NO_SPACE, ...        the store has failed, see above */
struct append {
	struct partition *partition;
	struct frame *frame;  /* one reference, taken; the bytes of batches are stamped in place and
			       * are the shard's from broker_append on, the rest stays untouched */
	struct slice batches; /* consecutive valid batches (batch_validate) within the frame;
			       * SLICE_NULL: all of it */
	enum acks acks; /* ACKS_NONE and ACKS_LEADER need no sync, nor do batches of transactions */
	/* Of batches that are part of a transaction: whose, null: whoever has the producer id; and whether the
	 * partition is to be added to the transaction, as Produce does from version 12 on. Kept alive by the caller. */
	struct slice transactional_id;
	bool adds_partition;
	uint64_t connection; /* as in coordinator_call */
	void (*done)(struct append *a, enum ks_err err);
	void *cookie;
	/* results */
	int64_t base_offset;      /* of the first batch; -1 after an error */
	int64_t log_append_time;  /* ms; -1: the topic keeps the client's timestamps */
	int64_t log_start_offset; /* of the partition when it was answered */
};
void broker_append(struct broker *b, struct append *a);
/* The same for a thread that has others to serve. broker_append_queue never waits: false says that there
 * is no room in the queue, and nothing was taken. It puts the append in its place, in the order of all
 * commands, and wakes nobody while they are few; after the last one broker_run_queued sees to it that
 * they are carried out. When the shard sleeps, it is not much and the disk is fast, the calling thread does that itself
 * and calls done before it returns, which saves two wake-ups; it must hold no lock that done takes.
 * Without the call they may wait until another command comes. */
bool broker_append_queue(struct broker *b, struct append *a);
void broker_run_queued(struct broker *b);
/* A whole frame, waiting for it. */
enum ks_err broker_append_wait(struct broker *b, struct partition *p, struct frame *batches,
			       enum acks acks, int64_t *base_offset, struct ks_why *why);

/* --- producers --- */

/* InitProducerId of an idempotent producer that has no transactional id. The caller keeps the
 * struct alive until done is called, exactly once, on the shard's thread. */
struct producer_id_call {
	void (*done)(struct producer_id_call *c, enum ks_err err);
	void *cookie;
	/* in: the producer's current pair, or -1 and -1. out: a new id with epoch 0; for a pair,
	 * the same id with the next epoch, or a new id when the epochs are used up. */
	int64_t producer_id;
	int16_t producer_epoch;
};
void broker_producer_id(struct broker *b, struct producer_id_call *c);

/* What a partition knows of one producer (DescribeProducers). */
struct producer_row {
	int64_t producer_id;
	int64_t last_timestamp; /* ms, the broker's clock */
	int32_t last_sequence;
	int16_t producer_epoch;
	int32_t coordinator_epoch; /* of its last marker; -1: none yet */
	int64_t txn_start_offset;  /* of its open transaction in this partition; -1: none */
};
/* Of all producers of a partition, by id; free() the array. */
enum ks_err broker_partition_producers(struct broker *b, struct partition *p,
				       struct producer_row **rows, size_t *count);

/* --- group offsets --- */

#define BROKER_GROUP_NAME_MAX 249

struct group_offset {
	struct partition *partition;
	int64_t offset; /* next to read */
	int64_t commit_time_ms;
};
/* Names of all groups that have offsets; free() each and the array. */
char **broker_groups(struct broker *b, size_t *count);
/* All committed offsets of a group, ordered by topic and partition; free() the array.
 * ERR_GROUP_ID_NOT_FOUND. */
enum ks_err broker_group_offsets(struct broker *b, const char *group, struct group_offset **out,
				 size_t *count);
/* One of them; ERR_NOT_FOUND. */
enum ks_err broker_group_offset(struct broker *b, const char *group, struct partition *p,
				int64_t *offset);
enum ks_err broker_group_commit(struct broker *b, const char *group,
				const struct group_offset *offsets, size_t count,
				struct ks_why *why);
enum ks_err broker_group_delete(struct broker *b, const char *group, struct ks_why *why);

/* --- groups and transactions over the wire --- */

/* One request that the coordinator of groups or that of transactions answers. Everything pointed to stays alive and
 * unchanged until done, which is called exactly once, on the shard's thread, in the order in which answers became
 * true; that of a JoinGroup or SyncGroup may be minutes away. Whatever an answer says is durable by then. */
struct coordinator_call {
	int16_t api_key, version;
	const void *request; /* struct <api>_request */
	void *response;      /* struct <api>_response, all defaults; filled by the time of done */
	struct arena *arena; /* of the response's strings and arrays; the shard's until done */
	struct slice client_id;  /* may be null */
	const char *client_host; /* "/127.0.0.1", as Kafka shows it */
	/* Rises with every connection that is accepted; 0: none. A transactional id follows the youngest connection that
	 * spoke for it, unless txn_options says otherwise: what an older one still sends is refused. */
	uint64_t connection;
	size_t request_bytes; /* of the encoded request: what it weighs in the shard's queue */
	bool is_queued; /* nobody is woken: the caller calls broker_run_queued when it has sent all that it has */
	void (*done)(struct coordinator_call *c);
	void *cookie;
	/* result: not ERR_NONE when the store has failed; the outcome is unknown, the response is not
	 * filled and nothing may be answered */
	enum ks_err err;

	void *state; /* the broker's */
};

/* Any request of the group protocols: JoinGroup, SyncGroup, Heartbeat, LeaveGroup, OffsetCommit, OffsetFetch,
 * OffsetDelete, DescribeGroups, ListGroups, DeleteGroups, ConsumerGroupHeartbeat, ConsumerGroupDescribe. */
void broker_group_call(struct broker *b, struct coordinator_call *c);
/* Before a server closes its connections: parked joins and syncs are answered with NOT_COORDINATOR,
 * and so are later calls that would have to be parked. broker_close does the same. */
void broker_group_calls_end(struct broker *b);

/* Any request of transactions: InitProducerId with a transactional id, AddPartitionsToTxn, AddOffsetsToTxn,
 * TxnOffsetCommit, EndTxn, WriteTxnMarkers, ListTransactions and DescribeTransactions. An end is answered when its
 * markers and offsets are durable and can be read. */
void broker_txn_call(struct broker *b, struct coordinator_call *c);

struct txn_stats {
	uint64_t ids;  /* transactional ids that are known */
	uint64_t open; /* transactions */
	uint64_t committed, aborted,
		timed_out; /* since the opening; the last are among the aborted */
	uint64_t hanging;  /* open in a partition, unknown to the coordinator: at the last look */
	int64_t oldest_ms; /* how long the oldest open one has been; 0: none is */
};
/* Any thread. */
void broker_txn_stats(struct broker *b, struct txn_stats *out);

/* --- jobs: the commit --- */

/* One running instance of a job. Opening it bumps the job's epoch in a synced write, so every
 * commit of an older instance is refused from then on. */
struct job_session;
/* owner: who runs it, for the one who gets fenced ("pid 1234 on host x"). */
enum ks_err broker_job_open(struct broker *b, const char *job, const char *owner,
			    struct job_session **out, struct ks_why *why);
void broker_job_close(struct job_session *s);
uint32_t job_session_id(const struct job_session *s); /* prefix of the job's keys in CF_STATE */
int64_t job_session_epoch(const struct job_session *s);
/* Who fenced this session, when, as a sentence. */
void job_session_fenced_by(struct job_session *s, struct ks_why *why);

struct commit_output {
	struct partition *partition;
	struct frame *batches; /* taken by the commit; consecutive batches, stamped in place */
};
struct commit_offset {
	struct partition *partition;
	int64_t offset; /* next to read */
};
enum state_op { STATE_PUT, STATE_DELETE, STATE_DELETE_RANGE };
struct commit_state {
	enum state_op op;
	struct slice key, value; /* value: for a range its upper bound, exclusive */
};

/* One step of a job: all of it becomes durable in one WriteBatch, or none of it. Everything pointed
 * to stays alive and unchanged until done is called, exactly once, on the shard's thread.
 *   ERR_PRODUCER_FENCED  a newer instance of the job has taken over; nothing was written */
struct commit {
	struct job_session *session;
	const char *group; /* whose offsets move; usually the job's name */
	struct commit_output *outputs;
	size_t output_count;
	struct commit_offset *offsets;
	size_t offset_count;
	struct commit_state *states;
	size_t state_count;
	void (*done)(struct commit *c, enum ks_err err);
	void *cookie;
};
void broker_commit(struct broker *b, struct commit *c);

/* --- figures --- */
struct broker_stats {
	uint64_t groups_written; /* WriteBatches */
	uint64_t commands;
	uint64_t bytes_appended;
	int64_t last_write_ns;
	/* Of each write: how long it took with its sync, what it wrote, and how many commands shared it
	 * (or a turn that wrote nothing). Valid until broker_close. */
	struct tally *write_ns, *write_bytes, *group_commands;
};
void broker_stats(struct broker *b, struct broker_stats *out);

#endif

/* compaction_rig.h - compacted topics for tests: records written and read as short texts.
 *
 * "a1 b22 a-" is a batch of three records: key a with the value "1", key b with "22", and a
 * tombstone of a. What is read adds offsets: "b22@1 a-@2". A value may be padded with dots, which
 * do not show.
 */
#ifndef TESTS_UNIT_BROKER_COMPACTION_RIG_H
#define TESTS_UNIT_BROKER_COMPACTION_RIG_H

#include "rig.h"

#include "broker/compaction.h"
#include "broker/log_index.h"

/* A topic "t" of one partition with these configurations: "key=value key=value". Everything but
 * the last batch may be cleaned as soon as it is a millisecond old, unless they say otherwise. */
static inline struct partition *make_compacted(struct rig *r, const char *more)
{
	char text[512];
	struct config_entry configs[16];
	struct topic_spec spec = {.name = "t", .partitions = 1, .configs = configs};

	snprintf(text, sizeof text,
		 "cleanup.policy=compact segment.ms=1 min.cleanable.dirty.ratio=0 %s", more);
	for (char *word = strtok(text, " "); word; word = strtok(NULL, " ")) {
		char *equals = strchr(word, '=');
		*equals = 0;
		struct config_entry e = {word, equals + 1};
		size_t i = 0;
		while (i < spec.config_count && strcmp(configs[i].key, e.key) != 0)
			i++;
		configs[i] = e;
		if (i == spec.config_count)
			spec.config_count++;
	}
	assert_ok(broker_topic_create(r->b, &spec, why));
	return topic_partition(broker_topic_find(r->b, "t"), 0);
}

static inline struct frame *keyed_frame(const char *records, size_t pad, int64_t timestamp,
					enum codec codec)
{
	struct buf out = {0}, scratch = {0}, value = {0};
	struct batch_writer w;
	const char *at = records;

	batch_writer_begin(&w, &out);
	for (at += strspn(at, " "); *at; at += strspn(at, " ")) {
		size_t len = strcspn(at, " "), key = strcspn(at, "0123456789-");
		buf_clear(&value);
		buf_append(&value, at + key, len - key);
		for (size_t i = 0; i < pad; i++)
			buf_append_u8(&value, '.');
		/* "_" alone is no key. */
		struct slice k = at[0] == '_' ? SLICE_NULL : slice_of(at, key);
		batch_writer_append(&w, timestamp, k,
				    at[key] == '-' ? SLICE_NULL : buf_slice(&value), SLICE_NULL, 0);
		at += len;
	}
	batch_writer_finish(&w, codec, &scratch);
	struct frame *f = frame_copy(buf_slice(&out));
	buf_fini(&out);
	buf_fini(&scratch);
	buf_fini(&value);
	return f;
}

/* One batch, now; a millisecond later it is no longer active. */
static inline void put_padded(struct rig *r, struct partition *p, const char *records, size_t pad)
{
	assert_ok(broker_append_wait(r->b, p, keyed_frame(records, pad, r->now_ms, CODEC_NONE),
				     ACKS_LEADER, NULL, why));
	r->now_ms++;
}

static inline void put(struct rig *r, struct partition *p, const char *records)
{
	put_padded(r, p, records, 0);
}

static inline void show_record(struct buf *out, const struct record *record)
{
	size_t len = record->value.len;
	const char *value = (const char *)record->value.data;

	while (len > 0 && value[len - 1] == '.')
		len--;
	buf_printf(out, "%s%.*s%.*s@%lld", out->len ? " " : "",
		   record->key.data ? (int)record->key.len : 1,
		   record->key.data ? (const char *)record->key.data : "_", value ? (int)len : 1,
		   value ? value : "-", (long long)record->offset);
}

/* The batches at bytes, checked: offsets rise from *next on. records may be NULL. */
static inline void show_batches(struct slice bytes, int64_t *next, struct buf *records)
{
	struct buf scratch = {0};
	struct record_iter it;
	struct record record;
	struct batch b;

	for (size_t at = 0; at < bytes.len; at += b.bytes.len) {
		assert_int_equal(batch_verify(slice_of(bytes.data + at, bytes.len - at), &b), 0);
		assert_true(batch_last_offset(&b) >= *next);
		assert_int_equal(record_iter_init(&it, &b, 1 << 20, &scratch), 0);
		while (records && record_iter_next(&it, &record) == 1)
			if (record.offset >= *next)
				show_record(records, &record);
		*next = batch_last_offset(&b) + 1;
	}
	buf_fini(&scratch);
}

/* What a reader gets from offset on. bytes (may be NULL): of all batches. */
static inline void show_log(struct partition *p, int64_t offset, struct buf *records,
			    uint64_t *bytes)
{
	struct reader *reader = reader_new(p);
	struct chunk c;

	while (offset < partition_high_watermark(p)) {
		assert_ok(reader_read(reader, offset, 1 << 16, &c, why));
		show_batches(c.bytes, &offset, records);
		if (bytes)
			*bytes += c.bytes.len;
		chunk_fini(&c);
	}
	reader_free(reader);
}

#define assert_log(p, expected)                                                                    \
	do {                                                                                       \
		struct buf shown_ = {0};                                                           \
		show_log(p, partition_log_start_offset(p), &shown_, NULL);                         \
		assert_string_equal(buf_cstr(&shown_), expected);                                  \
		buf_fini(&shown_);                                                                 \
	} while (0)

/* Reads must come from the store, not from the tail: as after a restart. */
static inline struct partition *without_tail(struct rig *r)
{
	broker_close(r->b);
	r->b = NULL;
	rig_open(r);
	return rig_partition(r, "t");
}

static inline size_t compact(struct rig *r)
{
	size_t cleaned = 0;

	assert_ok(compaction_run(r->b, &cleaned, why));
	return cleaned;
}

/* One log is cleaned; as after a restart it reads so. Returns the partition, which is a new one. */
static inline struct partition *compact_to(struct rig *r, const char *expected)
{
	assert_int_equal(compact(r), 1);
	struct partition *p = without_tail(r);
	assert_log(p, expected);
	return p;
}

/* Batches of one record each: a0, b1, c2, ..., over so many keys from first on, then from first again. */
static inline void put_many(struct rig *r, struct partition *p, int count, char first, int keys,
			    size_t pad)
{
	char record[16];

	for (int i = 0; i < count; i++) {
		snprintf(record, sizeof record, "%c%d", first + i % keys, i);
		put_padded(r, p, record, pad);
	}
}

/* The first batch that is read, checked; chunk_fini. */
static inline void read_first(struct partition *p, struct chunk *c, struct batch *b)
{
	struct reader *reader = reader_new(p);

	assert_ok(reader_read(reader, 0, 1, c, why));
	reader_free(reader);
	assert_int_equal(batch_verify(c->bytes, b), 0);
}

static inline size_t keys_of(struct rig *r, enum store_cf cf)
{
	struct store_iter *it = store_iter_new(broker_store(r->b), cf, SLICE_NULL, SLICE_NULL);
	size_t count = 0;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it))
		count++;
	store_iter_free(it);
	return count;
}

/* The stored values are well-formed. Returns the bytes of their batches from the log start on. */
static inline uint64_t stored_bytes(struct rig *r, struct partition *p)
{
	struct key_log lower = key_log(p->id, 0), upper = key_log(p->id + 1, 0);
	struct store_iter *it =
		store_iter_new(broker_store(r->b), CF_LOG, KEY_SLICE(lower), KEY_SLICE(upper));
	int64_t next = 0, last = -1;
	uint64_t bytes = 0;
	struct batch b;
	uint32_t id;

	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it)) {
		struct slice value = store_iter_value(it);
		assert_true(key_log_decode(store_iter_key(it), &id, &last));
		show_batches(value, &next, NULL);
		assert_int_equal(next, last + 1);
		for (size_t at = 0; at < value.len; at += b.bytes.len) {
			assert_int_equal(batch_peek(slice_of(value.data + at, value.len - at), &b),
					 0);
			/* A trim leaves them when others of their value stay. */
			if (batch_last_offset(&b) >= partition_log_start_offset(p))
				bytes += b.bytes.len;
		}
	}
	store_iter_free(it);
	assert_int_equal(next, partition_high_watermark(p));
	return bytes;
}

static inline void assert_stored(struct rig *r, struct partition *p)
{
	assert_int_equal(stored_bytes(r, p), partition_size_bytes(p));
}

/* Delete horizons take a few bytes, which a log that began at 0 does not count. */
static inline void assert_about_stored(struct rig *r, struct partition *p)
{
	uint64_t bytes = stored_bytes(r, p), size = partition_size_bytes(p);

	assert_in_range(bytes, size, size + 1000);
}

#endif

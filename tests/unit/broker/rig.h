/* rig.h - a broker for one test: over memory or over RocksDB in a scratch directory, with a clock that the
 * test holds. */
#ifndef TESTS_UNIT_BROKER_RIG_H
#define TESTS_UNIT_BROKER_RIG_H

#include <stdatomic.h>

#include "broker/core.h"
#include "broker/retention.h"
#include "broker/shard.h"
#include "tests/check.h"
#include "tests/scratch.h"
#include "wire/batch.h"

#define START_MS INT64_C(1700000000000)

struct rig {
	struct broker *b;
	struct broker_options options;
	struct clock clock;
	char *dir; /* NULL: in memory */
	_Atomic(int64_t) now_ms, now_ns;
};

static inline int64_t rig_now_ms(void *self)
{
	return atomic_load(&((struct rig *)self)->now_ms);
}

static inline int64_t rig_monotonic_ns(void *self)
{
	return atomic_load(&((struct rig *)self)->now_ns);
}

static inline void rig_open(struct rig *r)
{
	struct ks_why why = {""};

	if (broker_open(&r->options, &r->b, &why))
		fail_msg("%s", why.text);
}

static inline struct rig *rig_new(bool is_rocks)
{
	struct rig *r = calloc(1, sizeof *r);

	r->now_ms = START_MS;
	r->clock = (struct clock){rig_now_ms, rig_monotonic_ns, r};
	r->dir = is_rocks ? scratch_make() : NULL;
	r->options = (struct broker_options){
		.dir = r->dir,
		.store = {.create = true},
		.clock = &r->clock,
		.retention_check_ms = 3600000,
		.compaction_check_ms = 3600000,
	};
	return r;
}

static inline int rig_setup_memory(void **state)
{
	*state = rig_new(false);
	rig_open(*state);
	return 0;
}

static inline int rig_setup_rocks(void **state)
{
	*state = rig_new(true);
	rig_open(*state);
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	broker_close(r->b);
	if (r->dir)
		scratch_remove(r->dir);
	free(r);
	return 0;
}

/* As after a stop and a start; RocksDB only. */
static inline void rig_reopen(struct rig *r)
{
	assert_non_null(r->dir);
	broker_close(r->b);
	r->b = NULL;
	rig_open(r);
}

#define MEMORY(f)                                                                                  \
	{                                                                                          \
#f " (memory)", f, rig_setup_memory, rig_teardown, NULL                            \
	}
#define ROCKS(f)                                                                                   \
	{                                                                                          \
#f " (rocksdb)", f, rig_setup_rocks, rig_teardown, NULL                            \
	}
#define BOTH(f) MEMORY(f), ROCKS(f)

static inline struct topic *rig_topic_with(struct rig *r, const char *name, int32_t partitions,
					   const char *key, const char *value)
{
	struct config_entry config = {key, value};
	struct topic_spec spec = {.name = name, .partitions = partitions};

	if (key) {
		spec.configs = &config;
		spec.config_count = 1;
	}
	assert_ok(broker_topic_create(r->b, &spec, why));
	struct topic *t = broker_topic_find(r->b, name);
	assert_non_null(t);
	return t;
}

static inline struct topic *rig_topic(struct rig *r, const char *name, int32_t partitions)
{
	return rig_topic_with(r, name, partitions, NULL, NULL);
}

static inline struct partition *rig_partition(struct rig *r, const char *topic)
{
	return topic_partition(broker_topic_find(r->b, topic), 0);
}

/* Appends a batch of count records: values of value_bytes bytes that begin with a number from first on. */
static inline void rig_batch(struct buf *out, int count, int first, size_t value_bytes,
			     int64_t timestamp)
{
	struct batch_writer w = {0};
	struct buf scratch = {0};
	uint8_t *value = calloc(1, value_bytes + 16);

	batch_writer_begin(&w, out);
	for (int i = 0; i < count; i++) {
		int n = snprintf((char *)value, 16, "%d", first + i);
		batch_writer_append(
			&w, timestamp, SLICE_NULL,
			slice_of(value, value_bytes > (size_t)n ? value_bytes : (size_t)n),
			SLICE_NULL, 0);
	}
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	free(value);
	buf_fini(&scratch);
}

static inline struct frame *rig_frame(int count, int first, size_t value_bytes, int64_t timestamp)
{
	struct buf out = {0};

	rig_batch(&out, count, first, value_bytes, timestamp);
	struct frame *f = frame_copy(buf_slice(&out));
	buf_fini(&out);
	return f;
}

static inline int64_t rig_append(struct rig *r, struct partition *p, int count, int first)
{
	int64_t offset = -1;
	assert_ok(broker_append_wait(r->b, p, rig_frame(count, first, 0, r->now_ms), ACKS_ALL,
				     &offset, why));
	return offset;
}

/* Everything from offset on, as one stretch of bytes. */
static inline void rig_read_all(struct partition *p, int64_t offset, size_t max_bytes,
				struct buf *out)
{
	struct reader *reader = reader_new(p);

	while (offset < partition_high_watermark(p)) {
		struct chunk c = {0};
		assert_ok(reader_read(reader, offset, max_bytes, &c, why));
		for (size_t at = 0; at < c.bytes.len;) {
			struct batch b;
			assert_int_equal(
				batch_verify(slice_of(c.bytes.data + at, c.bytes.len - at), &b), 0);
			assert_true(b.base_offset <= offset);
			offset = batch_last_offset(&b) + 1;
			at += b.bytes.len;
		}
		buf_append(out, c.bytes.data, c.bytes.len);
		chunk_fini(&c);
	}
	reader_free(reader);
}

/* The number in the value of the record at offset. */
static inline int rig_number_at(struct partition *p, int64_t offset)
{
	struct reader *reader = reader_new(p);
	struct buf scratch = {0};
	struct record_iter it;
	struct record record;
	struct chunk c;
	struct batch b;
	int number = -1;

	assert_ok(reader_read(reader, offset, 1, &c, why));
	assert_int_equal(batch_peek(c.bytes, &b), 0);
	assert_int_equal(record_iter_init(&it, &b, 1 << 20, &scratch), 0);
	while (record_iter_next(&it, &record) == 1)
		if (record.offset == offset) {
			char text[17] = "";
			memcpy(text, record.value.data,
			       record.value.len < 16 ? record.value.len : 16);
			number = atoi(text);
		}
	buf_fini(&scratch);
	chunk_fini(&c);
	reader_free(reader);
	return number;
}

#endif

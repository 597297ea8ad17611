/* marker.c - see marker.h. */
#include "wire/marker.h"

#include "wire/batch_layout.h"

#define VERSION     0
#define TYPE_ABORT  0
#define TYPE_COMMIT 1

void marker_write(struct buf *out, const struct marker *m)
{
	struct batch_writer w = {0};
	struct buf scratch = {0};
	uint8_t key[4], value[6];
	size_t start = out->len;

	put_u16be(key, VERSION);
	put_u16be(key + 2, m->is_commit ? TYPE_COMMIT : TYPE_ABORT);
	put_u16be(value, VERSION);
	put_u32be(value + 2, (uint32_t)m->coordinator_epoch);
	batch_writer_begin(&w, out);
	batch_writer_append(&w, m->timestamp, slice_of(key, sizeof key),
			    slice_of(value, sizeof value), SLICE_NULL, 0);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	buf_fini(&scratch);
	uint8_t *p = out->data + start;
	put_u16be(p + AT_ATTRIBUTES, ATTRIBUTE_CONTROL);
	batch_set_producer(p, out->len - start, m->producer_id, m->producer_epoch, -1, true);
}

bool marker_read(const struct batch *b, struct marker *m)
{
	struct record_iter it;
	struct record r;
	struct buf none = {0};

	if (!batch_is_control(b) || batch_codec(b) != CODEC_NONE ||
	    record_iter_init(&it, b, 0, &none) || record_iter_next(&it, &r) != 1)
		return false;
	if (r.key.len < 4 || r.value.len < 6 || get_u16be(r.key.data + 2) > TYPE_COMMIT)
		return false;
	*m = (struct marker){
		.producer_id = b->producer_id,
		.timestamp = r.timestamp,
		.coordinator_epoch = (int32_t)get_u32be(r.value.data + 2),
		.producer_epoch = b->producer_epoch,
		.is_commit = get_u16be(r.key.data + 2) == TYPE_COMMIT,
	};
	return true;
}

/* The record's timestamp is counted from the base timestamp, whose place the horizon takes: it becomes the horizon, too. */
void marker_write_horizon(struct buf *out, const struct batch *b, int64_t horizon)
{
	size_t start = out->len;

	buf_append(out, b->bytes.data, b->bytes.len);
	uint8_t *p = out->data + start;
	put_u16be(p + AT_ATTRIBUTES, (uint16_t)(b->attributes | ATTRIBUTE_DELETE_HORIZON));
	put_u64be(p + AT_BASE_TIMESTAMP, (uint64_t)horizon);
	put_u32be(p + AT_CRC, batch_crc(p, b->bytes.len));
}

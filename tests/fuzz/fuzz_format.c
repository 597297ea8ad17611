/* fuzz_format.c - a layout up to the first NUL, then what is read by it. */
#include <assert.h>

#include "cli/format.h"
#include "tests/fuzz/fuzz.h"
#include "wire/batch.h"

static int32_t count_headers(struct slice headers)
{
	struct record_header h;
	int32_t n = 0;
	int got;

	while ((got = record_header_next(&headers, &h)) > 0)
		n++;
	assert(got == 0);
	return n;
}

/* Every record takes something, lies in order, and prints. */
static void read_all(struct format_reader *r, struct format_writer *w, struct slice in)
{
	struct buf out = {0};
	struct format_input record;
	struct ks_why why;
	size_t consumed, left = 10000;

	while (left-- && format_read(r, in, true, &consumed, &record, &why) == FORMAT_RECORD) {
		assert(consumed > 0 && consumed <= in.len);
		assert(record.value.data && count_headers(record.headers) == record.header_count);
		struct format_record fr = {.topic = "t",
					   .key = record.has_key ? record.key : SLICE_NULL,
					   .value = record.value,
					   .headers = record.headers,
					   .header_count = record.header_count,
					   .timestamp = record.timestamp};
		buf_clear(&out);
		if (w)
			format_write(w, &fr, &out);
		in = slice_of(in.data + consumed, in.len - consumed);
	}
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct format_reader *r = NULL;
	struct format_writer *w = NULL;
	struct ks_why why;
	char layout[200];
	size_t len = 0;

	while (len < size && data[len])
		len++;
	if (len >= sizeof layout || len == size)
		return 0;
	memcpy(layout, data, len);
	layout[len] = 0;
	/* The C library's regular expressions can take any time and memory; the user writes them. */
	if (strstr(layout, "{re"))
		return 0;
	if (format_writer_new(layout, &w, &why))
		w = NULL;
	if (format_reader_new(layout, &r, &why) == ERR_NONE)
		read_all(r, w, slice_of(data + len + 1, size - len - 1));
	format_reader_free(r);
	format_writer_free(w);
	return 0;
}

/* fuzz_decompress.c - the first byte chooses codec and cap, the rest is the compressed stream. */
#include <assert.h>

#include "tests/fuzz/fuzz.h"
#include "wire/compress.h"

/* A second attempt with the exact cap must give the same, one byte less must fail. */
static void check_cap(enum codec c, struct slice in, const struct buf *plain)
{
	struct buf again = {0};

	assert(!codec_decompress(c, in, plain->len, &again));
	assert(again.len == plain->len &&
	       (!again.len || !memcmp(again.data, plain->data, again.len)));
	buf_clear(&again);
	if (plain->len > 0)
		assert(codec_decompress(c, in, plain->len - 1, &again) == ERR_TOO_LARGE);
	assert(again.len == 0);
	buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t caps[] = {0, 1, 1000, 65536, 1 << 20};
	struct buf plain = {0}, packed = {0}, back = {0};

	if (size < 1)
		return 0;
	enum codec c = (enum codec)(data[0] % 8);
	size_t cap = caps[data[0] / 8 % 5];
	struct slice in = slice_of(data + 1, size - 1);

	if (codec_decompress(c, in, cap, &plain) == ERR_NONE) {
		assert(plain.len <= cap);
		check_cap(c, in, &plain);
	} else {
		assert(plain.len == 0);
		assert(plain.cap <= 2 * cap + 8192);
	}
	if (c < CODEC_COUNT) {
		codec_compress(c, in, &packed);
		assert(!codec_decompress(c, buf_slice(&packed), in.len, &back));
		assert(back.len == in.len && (!in.len || !memcmp(back.data, in.data, in.len)));
	}
	buf_fini(&plain);
	buf_fini(&packed);
	buf_fini(&back);
	return 0;
}

/* What of a MANIFEST is believed: the check of an open, and what the guard tells the mark. */
#include "store/manifest_guard.h"

#include "base/mem.h"
#include "store/crc.h"
#include "store/mark.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/scratch.h"

struct fixture {
	char *dir;
	struct buf file;             /* what MANIFEST-000007 holds */
	struct manifest_ends ends;   /* the mark's */
	struct manifest_view view;   /* what the check made of it */
	struct ks_why why;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->dir = scratch_make();
	char *db = xasprintf("%s/db", f->dir);
	assert_int_equal(mkdir(db, 0755), 0);
	free(db);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->dir);
	buf_fini(&f->file);
	free(f);
	return 0;
}

static void write_file(const struct fixture *f, const char *name, struct slice bytes)
{
	char *path = xasprintf("%s/db/%s", f->dir, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);

	assert_int_equal(write(fd, bytes.data, bytes.len), bytes.len);
	close(fd);
	free(path);
}

/* A record as RocksDB lays it out: masked CRC32C of type and content, length, type 1. */
static void add_record(struct fixture *f, size_t len)
{
	uint8_t header[7] = {0, 0, 0, 0, (uint8_t)len, (uint8_t)(len >> 8), 1};
	size_t at = f->file.len;

	buf_append(&f->file, header, sizeof header);
	buf_reserve(&f->file, at + sizeof header + len);
	memset(f->file.data + at + sizeof header, 'r', len);
	f->file.len += len;
	uint32_t crc = crc32c_finished(0, f->file.data + at + 6, 1 + len);
	crc = (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
	for (int i = 0; i < 4; i++)
		f->file.data[at + (size_t)i] = (uint8_t)(crc >> (8 * i));
}

static struct manifest_end end_of(const struct fixture *f)
{
	return (struct manifest_end){7, f->file.len, crc32c_finished(0, f->file.data, f->file.len)};
}

static enum ks_err check(struct fixture *f)
{
	write_file(f, "CURRENT", slice_str("MANIFEST-000007\n"));
	write_file(f, "MANIFEST-000007", buf_slice(&f->file));
	return manifest_check(f->dir, &f->ends, &f->view, &f->why);
}

static void readable(struct fixture *f, uint64_t bytes)
{
	if (check(f))
		fail_msg("%s", f->why.text);
	assert_int_equal(f->view.durable.bytes, f->ends.next.bytes);
	assert_int_equal(f->view.readable, bytes);
}

static void refused(struct fixture *f, const char *part)
{
	assert_int_equal(check(f), ERR_CORRUPTION);
	if (!strstr(f->why.text, part))
		fail_msg("\"%s\" is not in: %s", part, f->why.text);
}

static void whole_records_behind_the_end_are_read(void **state)
{
	struct fixture *f = *state;

	add_record(f, 100);
	f->ends.named = f->ends.next = end_of(f);
	readable(f, 107);
	add_record(f, 5000);
	add_record(f, 32768 - 107 - 5007 - 3 - 7); /* three bytes short of a block: padding follows */
	readable(f, 32765);
	buf_append(&f->file, "\0\0\0", 3);
	add_record(f, 9000);
	readable(f, 32768 + 9007);
}

static void nothing_behind_the_end_is_read_when_a_record_is_torn(void **state)
{
	struct fixture *f = *state;

	add_record(f, 100);
	f->ends.named = f->ends.next = end_of(f);
	add_record(f, 50);
	add_record(f, 9000);
	size_t len = f->file.len;
	for (f->file.len = len - 1; f->file.len > 107; f->file.len -= 97)
		readable(f, f->file.len == 107 + 57 ? 107 + 57 : 107);
	f->file.len = len;
	memset(f->file.data + 4096, 0, 4096); /* a page was not written, the next one was */
	readable(f, 107);
	memset(f->file.data + 107, 0, len - 107);
	readable(f, 107);
}

static void what_was_on_the_disk_has_to_be_there(void **state)
{
	struct fixture *f = *state;

	add_record(f, 100);
	add_record(f, 5000);
	f->ends.named = f->ends.next = end_of(f);
	f->file.len--;
	refused(f, "has 5113 bytes, and it had 5114");
	f->file.len++;
	for (size_t at = 0; at < f->file.len; at += 61) {
		f->file.data[at] ^= 4;
		refused(f, "is not what was written");
		f->file.data[at] ^= 4;
	}
	readable(f, 5114);
}

static void current_may_name_the_next_or_the_one_before(void **state)
{
	struct fixture *f = *state;

	add_record(f, 100);
	f->ends.named = end_of(f);
	f->ends.next = (struct manifest_end){9, 1000, 1};
	assert_int_equal(check(f), ERR_NONE);
	assert_int_equal(f->view.durable.bytes, 107);
	f->ends.next = f->ends.named;
	f->ends.named = (struct manifest_end){5, 1000, 1};
	readable(f, 107);
	f->ends.named = (struct manifest_end){5, 1000, 1};
	f->ends.next = (struct manifest_end){9, 1000, 1};
	refused(f, "names MANIFEST-000007, and it had come to MANIFEST-000009");
	f->ends.next = (struct manifest_end){6, 1000, 1};
	assert_int_equal(check(f), ERR_NONE);
	assert_int_equal(f->view.durable.number, 0);
	assert_int_equal(f->view.readable, UINT64_MAX);
}

static void marked(struct fixture *f, uint64_t named, uint64_t named_bytes, uint64_t next,
		   uint64_t next_bytes)
{
	struct mark_value v;

	assert_int_equal(mark_read(f->dir, &v, &f->why), ERR_NONE);
	assert_int_equal(v.manifests.named.number, named);
	assert_int_equal(v.manifests.named.bytes, named_bytes);
	assert_int_equal(v.manifests.next.number, next);
	assert_int_equal(v.manifests.next.bytes, next_bytes);
}

static void the_mark_hears_of_every_sync(void **state)
{
	struct fixture *f = *state;
	struct manifest_guard *g = manifest_guard_new();
	struct manifest_view view = {.durable = {5, 10, 1}, .readable = 20};
	struct mark *m;

	assert_int_equal(mark_create(f->dir, 0, 1, NULL), ERR_NONE);
	assert_int_equal(mark_open(f->dir, &m, NULL), ERR_NONE);
	manifest_guard_trust(g, &view);
	assert_int_equal(manifest_guard_readable(g, 5), 20);
	assert_int_equal(manifest_guard_readable(g, 6), UINT64_MAX);
	marked(f, 0, 0, 0, 0);
	assert_int_equal(manifest_guard_attach(g, m, NULL), ERR_NONE);
	marked(f, 5, 10, 5, 10);
	assert_int_equal(manifest_guard_synced(g, &(struct manifest_end){5, 30, 1}, NULL), ERR_NONE);
	marked(f, 5, 30, 5, 30);
	assert_int_equal(manifest_guard_synced(g, &(struct manifest_end){8, 40, 1}, NULL), ERR_NONE);
	marked(f, 5, 30, 8, 40);
	manifest_guard_named(g);
	assert_int_equal(manifest_guard_synced(g, &(struct manifest_end){8, 50, 1}, NULL), ERR_NONE);
	marked(f, 8, 50, 8, 50);
	manifest_guard_free(g);
	mark_close(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(whole_records_behind_the_end_are_read),
		TEST(nothing_behind_the_end_is_read_when_a_record_is_torn),
		TEST(what_was_on_the_disk_has_to_be_there),
		TEST(current_may_name_the_next_or_the_one_before),
		TEST(the_mark_hears_of_every_sync),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

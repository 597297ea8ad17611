/* The files of the write-ahead log: what a reader gets of one that lies over an older one. */
#include "base/mem.h"
#include "store/crc.h"
#include "store/wal_block.h"
#include "store/wal_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "tests/scratch.h"

struct fixture {
	char *dir, *path[5];
	struct wal_dir *wals;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->dir = scratch_make();
	for (int i = 1; i < 5; i++)
		f->path[i] = xasprintf("%s/00000%d.log", f->dir, i);
	f->wals = wal_dir_new(f->dir);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	wal_dir_free(f->wals);
	for (int i = 1; i < 5; i++)
		free(f->path[i]);
	scratch_remove(f->dir);
	free(f);
	return 0;
}

/* One record of a commit with one key. */
static void add_record(struct buf *b, size_t len, char letter, uint64_t sequence)
{
	uint8_t record[1000];

	memset(record, letter, sizeof record);
	record[4] = (uint8_t)(len - 7);
	record[5] = (uint8_t)((len - 7) >> 8);
	record[6] = 1;
	for (int k = 0; k < 8; k++)
		record[7 + k] = (uint8_t)(sequence >> (8 * k));
	memcpy(record + 15, "\1\0\0\0", 4);
	uint32_t crc = crc32c_finished(0, record + 6, len - 6);
	crc = (crc >> 15 | crc << 17) + UINT32_C(0xa282ead8);
	for (int k = 0; k < 4; k++)
		record[k] = (uint8_t)(crc >> (8 * k));
	buf_append(b, record, len);
}

/* So many records of 1000 bytes, as RocksDB writes them, with sequence numbers from that one on. */
static struct buf records_from(int count, char letter, uint64_t sequence)
{
	struct buf b = {0};

	for (int i = 0; i < count; i++) {
		size_t room = WAL_BLOCK_BYTES - b.len % WAL_BLOCK_BYTES;
		add_record(&b, room < 1000 ? room : 1000, letter, sequence + (uint64_t)i);
	}
	return b;
}

static struct buf records(int count, char letter)
{
	return records_from(count, letter, 1);
}

static struct wal_file *begin(struct fixture *f, int number)
{
	struct wal_file *w = NULL;

	assert_int_equal(wal_create(f->wals, f->path[number], (uint64_t)number, &w), 0);
	return w;
}

static void write_log(struct fixture *f, int number, struct buf b)
{
	struct wal_file *w = begin(f, number);

	assert_int_equal(wal_append(w, b.data, b.len), 0);
	assert_int_equal(wal_sync(w), 0);
	assert_int_equal(wal_length(w), b.len);
	assert_int_equal(wal_close(w), 0);
	buf_fini(&b);
}

static struct buf read_log(struct fixture *f, int number)
{
	struct wal_reader *r;
	struct buf b = {0};
	uint8_t chunk[5000];
	size_t got;

	assert_int_equal(wal_reader_open(f->path[number], (uint64_t)number, &r), 0);
	do {
		assert_int_equal(wal_reader_read(r, chunk, sizeof chunk, &got), 0);
		buf_append(&b, chunk, got);
	} while (got == sizeof chunk);
	wal_reader_close(r);
	return b;
}

static void reads(struct fixture *f, int number, struct buf expected)
{
	struct buf found = read_log(f, number);

	assert_int_equal(found.len, expected.len);
	if (found.len)
		assert_memory_equal(found.data, expected.data, found.len);
	buf_fini(&found);
	buf_fini(&expected);
}

/* A whole beginning of so many bytes, then a record that RocksDB cannot take for one. */
static void reads_damage(struct fixture *f, int number, struct buf whole, size_t len)
{
	static const uint8_t wrong[] = {0xff, 0xff, 0xff, 0xff, 0, 0, 1};
	size_t left = WAL_BLOCK_BYTES - len % WAL_BLOCK_BYTES, pad = left < 7 ? left : 0;
	struct buf found = read_log(f, number);

	assert_int_equal(found.len, len + pad + sizeof wrong);
	if (len)
		assert_memory_equal(found.data, whole.data, len);
	assert_memory_equal(found.data + len + pad, wrong, sizeof wrong);
	buf_fini(&found);
	buf_fini(&whole);
}

static off_t size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) ? -1 : st.st_size;
}

static void a_log_is_read_as_it_was_written(void **state)
{
	struct fixture *f = *state;

	write_log(f, 1, records(200, 'a'));
	reads(f, 1, records(200, 'a'));
}

static void a_deleted_log_becomes_the_next_one_and_its_rest_is_not_read(void **state)
{
	struct fixture *f = *state;
	struct buf few = records(3, 'b');

	write_log(f, 1, records(200, 'a'));
	off_t size = size_of(f->path[1]);
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	assert_int_equal(size_of(f->path[1]), -1);
	struct wal_file *w = begin(f, 2);
	assert_int_equal(size_of(f->path[2]), size);
	reads(f, 2, (struct buf){0});
	assert_int_equal(wal_append(w, few.data, few.len), 0);
	assert_int_equal(size_of(f->path[2]), size);
	reads(f, 2, records(3, 'b'));
	assert_int_equal(wal_close(w), 0);
	assert_int_equal(size_of(f->path[2]), few.len);
	buf_fini(&few);
}

/* One that ends where a record of the older file begins: the zeros behind it are not even needed. */
static void an_older_record_is_not_read_even_where_the_next_would_begin(void **state)
{
	struct fixture *f = *state;
	struct buf old = records(40, 'a');

	write_log(f, 1, records(40, 'a'));
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	struct wal_file *w = begin(f, 2);
	assert_int_equal(wal_append(w, old.data, 2000), 0);
	int fd = open(f->path[2], O_RDWR);
	struct wal_stream s = {0};
	uint8_t header[WAL_HEADER_BYTES];
	size_t len;
	assert_true(wal_stream_next(&s, wal_salt(1), slice_of(old.data + 2000, 7), header, &len));
	assert_int_equal(pwrite(fd, header, 7, 2000), 7);
	assert_int_equal(pwrite(fd, old.data + 2007, 993, 2007), 993);
	close(fd);
	reads(f, 2, records(2, 'a'));
	assert_int_equal(wal_close(w), 0);
	buf_fini(&old);
}

static void a_log_is_cut_to_its_length_when_the_next_one_begins(void **state)
{
	struct fixture *f = *state;
	struct buf few = records(3, 'b');

	write_log(f, 1, records(200, 'a'));
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	struct wal_file *w = begin(f, 2);
	assert_int_equal(wal_append(w, few.data, few.len), 0);
	struct wal_file *next = begin(f, 3);
	assert_int_equal(size_of(f->path[2]), few.len);
	assert_int_equal(wal_close(w), 0);
	assert_int_equal(wal_close(next), 0);
	buf_fini(&few);
}

/* RocksDB must be told of damage in a log that others follow, or it would leave a gap. */
static void damage_is_shown_unless_the_log_is_the_newest(void **state)
{
	struct fixture *f = *state;

	write_log(f, 1, records(200, 'a'));
	int fd = open(f->path[1], O_RDWR);
	assert_int_equal(pwrite(fd, "!", 1, 5500), 1);
	close(fd);
	reads(f, 1, records(5, 'a'));
	write_log(f, 2, records(1, 'b'));
	reads_damage(f, 1, records(200, 'a'), 5000);
}

/* Where a power loss took a page, RocksDB would go on behind it. */
static void behind_a_hole_nothing_is_readable(void **state)
{
	struct fixture *f = *state;
	uint8_t zeros[4096] = {0};

	write_log(f, 1, records(200, 'a'));
	write_log(f, 2, records(1, 'b'));
	int fd = open(f->path[1], O_RDWR);
	assert_int_equal(pwrite(fd, zeros, sizeof zeros, WAL_BLOCK_BYTES), sizeof zeros);
	close(fd);
	reads_damage(f, 1, records(200, 'a'), WAL_BLOCK_BYTES);
}

/* RocksDB would take the end for the log's, and go on with the next. */
static void commits_missing_before_the_next_log_are_damage(void **state)
{
	struct fixture *f = *state;

	write_log(f, 1, records(40, 'a'));
	write_log(f, 2, records_from(40, 'b', 41));
	reads(f, 1, records(40, 'a'));
	assert_int_equal(truncate(f->path[1], 7000), 0);
	reads_damage(f, 1, records(40, 'a'), 7000);
	assert_int_equal(truncate(f->path[1], 6500), 0); /* in the midst of one */
	reads_damage(f, 1, records(40, 'a'), 6000);
	assert_int_equal(truncate(f->path[1], 0), 0);
	reads_damage(f, 1, (struct buf){0}, 0);
	assert_int_equal(truncate(f->path[2], 0), 0); /* with nothing behind it */
	reads(f, 1, (struct buf){0});
}

static struct buf nearly_a_block(void)
{
	struct buf b = records(32, 'a');

	add_record(&b, WAL_BLOCK_BYTES - 3 - b.len, 'a', 33);
	return b;
}

/* A block ends in zeros where there is no room for a record. */
static void damage_is_shown_where_a_record_may_begin(void **state)
{
	struct fixture *f = *state;

	write_log(f, 1, nearly_a_block());
	write_log(f, 2, records_from(1, 'b', 35));
	reads_damage(f, 1, nearly_a_block(), WAL_BLOCK_BYTES - 3);
}

/* --- syncs that are put off; which files were synced, by their numbers, in order --- */

static char synced[64];
static const struct fixture *watched;

/* Instead of the C library's. */
int fdatasync(int fd)
{
	struct stat of, named;

	for (int i = 1; watched && fstat(fd, &of) == 0 && i < 5; i++)
		if (stat(watched->path[i], &named) == 0 && named.st_ino == of.st_ino &&
		    strlen(synced) < sizeof synced - 1)
			synced[strlen(synced)] = (char)('0' + i);
	return (int)syscall(SYS_fdatasync, fd);
}

static void expect_synced(const char *numbers)
{
	assert_string_equal(synced, numbers);
	memset(synced, 0, sizeof synced);
}

static struct wal_file *begin_with_record(struct fixture *f, int number)
{
	struct buf one = records(1, 'a');
	struct wal_file *w = begin(f, number);

	assert_int_equal(wal_append(w, one.data, one.len), 0);
	buf_fini(&one);
	return w;
}

/* Logs 1 to 3, each with a record. */
static void begin_three(struct fixture *f, struct wal_file *w[4])
{
	for (int i = 1; i < 4; i++)
		w[i] = begin_with_record(f, i);
	watched = f;
	memset(synced, 0, sizeof synced);
}

static void what_a_flush_wants_synced_is_put_off_until_something_has_to_be_durable(void **state)
{
	struct wal_file *w[4];

	begin_three(*state, w);
	assert_int_equal(wal_sync_later(w[1]), 0);
	assert_int_equal(wal_sync_later(w[2]), 0);
	assert_int_equal(wal_close(w[1]), 0);
	expect_synced("");
	assert_int_equal(wal_sync(w[3]), 0);
	expect_synced("123");
	assert_int_equal(wal_sync(w[3]), 0);
	expect_synced("3");
	assert_int_equal(wal_close(w[2]), 0);
	assert_int_equal(wal_close(w[3]), 0);
	watched = NULL;
}

static void the_newest_is_synced_at_once(void **state)
{
	struct wal_file *w[4];

	begin_three(*state, w);
	assert_int_equal(wal_sync_later(w[1]), 0);
	assert_int_equal(wal_sync_later(w[3]), 0);
	expect_synced("13");
	for (int i = 1; i < 4; i++)
		assert_int_equal(wal_close(w[i]), 0);
	watched = NULL;
}

static void a_deleted_log_owes_nothing(void **state)
{
	struct fixture *f = *state;
	struct wal_file *w[4];

	begin_three(f, w);
	assert_int_equal(wal_sync_later(w[1]), 0);
	assert_int_equal(wal_sync_later(w[2]), 0);
	assert_int_equal(wal_close(w[1]), 0);
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	assert_int_equal(wal_delete(f->wals, f->path[2], 2), 0); /* while it is open */
	assert_int_equal(wal_sync(w[3]), 0);
	expect_synced("3");
	assert_int_equal(wal_close(w[2]), 0);
	assert_int_equal(wal_close(w[3]), 0);
	watched = NULL;
}

static void nothing_is_put_off_for_a_strict_flush(void **state)
{
	struct fixture *f = *state;
	struct wal_file *w[4];

	begin_three(f, w);
	assert_int_equal(wal_sync_later(w[1]), 0);
	wal_strict_begin(f->wals);
	assert_int_equal(wal_sync_later(w[2]), 0);
	expect_synced("12");
	wal_strict_end(f->wals);
	assert_int_equal(wal_sync_later(w[2]), 0);
	expect_synced("");
	for (int i = 1; i < 4; i++)
		assert_int_equal(wal_close(w[i]), 0);
	watched = NULL; /* what owes at the end is closed with the directory */
}

static void all_that_were_followed_are_synced_for_a_manifest(void **state)
{
	struct fixture *f = *state;
	struct wal_file *w[4];

	begin_three(f, w);
	assert_int_equal(wal_sync_later(w[1]), 0);
	assert_int_equal(wal_close(w[1]), 0);
	assert_int_equal(wal_sync_followed(f->wals), 0);
	expect_synced("12");
	assert_int_equal(wal_close(w[2]), 0);
	assert_int_equal(wal_close(w[3]), 0);
	assert_int_equal(wal_sync_files(f->dir), 0);
	assert_int_equal(strlen(synced), 3);
	watched = NULL;
}

static void small_appends_find_their_place_made(void **state)
{
	struct fixture *f = *state;
	struct buf many = records(32, 'a');
	struct wal_file *w = begin(f, 1);

	assert_int_equal(wal_append(w, many.data, 1000), 0);
	off_t size = size_of(f->path[1]);
	assert_true(size > 100000);
	for (size_t i = 1; i < 32; i++)
		assert_int_equal(wal_append(w, many.data + i * 1000, 1000), 0);
	assert_int_equal(size_of(f->path[1]), size);
	reads(f, 1, records(32, 'a'));
	assert_int_equal(wal_close(w), 0);
	assert_int_equal(size_of(f->path[1]), 32000);
	buf_fini(&many);
}

static void a_log_without_salt_is_read_as_it_is_and_not_kept(void **state)
{
	struct fixture *f = *state;
	struct buf plain = records(100, 'p');
	int fd = open(f->path[1], O_RDWR | O_CREAT, 0600);

	assert_int_equal(write(fd, plain.data, plain.len), plain.len);
	close(fd);
	reads(f, 1, plain);
	write_log(f, 2, records(1, 'a'));
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	struct wal_file *w = begin(f, 3);
	assert_int_equal(size_of(f->path[3]), 0);
	assert_int_equal(wal_close(w), 0);
}

static void a_log_that_somebody_reads_is_not_used_again(void **state)
{
	struct fixture *f = *state;
	struct wal_reader *r;
	uint8_t first[1000];
	size_t got;

	write_log(f, 1, records(200, 'a'));
	assert_int_equal(wal_reader_open(f->path[1], 1, &r), 0);
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	write_log(f, 2, records(200, 'b'));
	assert_int_equal(wal_reader_read(r, first, sizeof first, &got), 0);
	assert_int_equal(got, sizeof first);
	assert_int_equal(first[999], 'a');
	wal_reader_close(r);
	reads(f, 2, records(200, 'b'));
}

static void spare_files_of_an_earlier_process_are_used(void **state)
{
	struct fixture *f = *state;

	write_log(f, 1, records(200, 'a'));
	off_t size = size_of(f->path[1]);
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), 0);
	wal_dir_free(f->wals);
	f->wals = wal_dir_new(f->dir);
	struct wal_file *w = begin(f, 2);
	assert_int_equal(size_of(f->path[2]), size);
	reads(f, 2, (struct buf){0});
	assert_int_equal(wal_close(w), 0);
}

static void names_of_logs_are_known(void **state)
{
	uint64_t number = 0;
	(void)state;

	assert_true(wal_number("/a/b.log/000123.log", &number));
	assert_int_equal(number, 123);
	assert_false(wal_number("/a/000123.sst", &number));
	assert_false(wal_number("/a/spare-000123", &number));
	assert_false(wal_number("/a/.log", &number));
	assert_false(wal_number("/a/x1.log", &number));
}

static void what_is_not_there_is_said(void **state)
{
	struct fixture *f = *state;
	struct wal_reader *r;

	assert_int_equal(wal_reader_open(f->path[1], 1, &r), ENOENT);
	assert_int_equal(wal_delete(f->wals, f->path[1], 1), ENOENT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_log_is_read_as_it_was_written),
		TEST(a_deleted_log_becomes_the_next_one_and_its_rest_is_not_read),
		TEST(an_older_record_is_not_read_even_where_the_next_would_begin),
		TEST(a_log_is_cut_to_its_length_when_the_next_one_begins),
		TEST(damage_is_shown_unless_the_log_is_the_newest),
		TEST(behind_a_hole_nothing_is_readable),
		TEST(commits_missing_before_the_next_log_are_damage),
		TEST(damage_is_shown_where_a_record_may_begin),
		TEST(what_a_flush_wants_synced_is_put_off_until_something_has_to_be_durable),
		TEST(the_newest_is_synced_at_once),
		TEST(a_deleted_log_owes_nothing),
		TEST(nothing_is_put_off_for_a_strict_flush),
		TEST(all_that_were_followed_are_synced_for_a_manifest),
		TEST(small_appends_find_their_place_made),
		TEST(a_log_without_salt_is_read_as_it_is_and_not_kept),
		TEST(a_log_that_somebody_reads_is_not_used_again),
		TEST(spare_files_of_an_earlier_process_are_used),
		TEST(names_of_logs_are_known),
		TEST(what_is_not_there_is_said),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

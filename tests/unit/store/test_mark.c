/* The file of the durable mark by itself; tests/store shows what an open makes of it. */
#include "store/mark.h"

#include "base/mem.h"
#include "store/crc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <string.h>

#include "tests/scratch.h"

struct fixture {
	char *dir, *path;
};

static const uint64_t points[] = {10, 20, 30};

static const struct manifest_ends ends = {
	.named = {.number = 5, .bytes = 200, .crc = 0xbbbbbbbb},
	.next = {.number = 7, .bytes = 50, .crc = 0xcccccccc},
};

/* A mark that was made at point 0 and moved to 1 and then 2, whose slot is the second page's. */
static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct mark *m;

	f->dir = scratch_make();
	f->path = malloc(strlen(f->dir) + 8);
	sprintf(f->path, "%s/mark", f->dir);
	assert_int_equal(mark_create(f->dir, points[0], 3, NULL), ERR_NONE);
	assert_int_equal(mark_open(f->dir, &m, NULL), ERR_NONE);
	assert_int_equal(mark_move(m, points[0], points[1], NULL), ERR_NONE);
	assert_int_equal(mark_move(m, points[1], points[2], NULL), ERR_NONE);
	assert_int_equal(mark_sync(m, NULL), ERR_NONE);
	mark_close(m);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->dir);
	free(f->path);
	free(f);
	return 0;
}

static void overwrite(struct fixture *f, off_t at, const void *bytes, size_t len)
{
	int fd = open(f->path, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static void reads(struct fixture *f, size_t synced, size_t written)
{
	struct mark_value v;

	assert_int_equal(mark_read(f->dir, &v, NULL), ERR_NONE);
	assert_int_equal(v.format, 3);
	assert_int_equal(v.synced, points[synced]);
	assert_int_equal(v.written, points[written]);
}

static void the_last_move_is_read_back(void **state)
{
	reads(*state, 1, 2);
}

static void a_torn_slot_falls_back_to_the_other(void **state)
{
	static const uint8_t zeros[96];

	overwrite(*state, 4096 + 40, zeros, 56);
	reads(*state, 0, 1);
	overwrite(*state, 4096, zeros, 96);
	reads(*state, 0, 1);
}

static void every_flipped_bit_of_a_slot_is_noticed(void **state)
{
	struct fixture *f = *state;
	uint8_t slot[96];
	int fd = open(f->path, O_RDONLY);

	assert_int_equal(pread(fd, slot, sizeof slot, 4096), sizeof slot);
	close(fd);
	for (size_t bit = 0; bit < sizeof slot * 8; bit++) {
		slot[bit / 8] = (uint8_t)(slot[bit / 8] ^ (1u << bit % 8));
		overwrite(f, 4096, slot, sizeof slot);
		reads(f, 0, 1);
		slot[bit / 8] = (uint8_t)(slot[bit / 8] ^ (1u << bit % 8));
	}
	overwrite(f, 4096, slot, sizeof slot);
	reads(f, 1, 2);
}

static void moves_after_a_torn_slot_are_read_back(void **state)
{
	struct fixture *f = *state;
	struct mark *m;

	overwrite(f, 4096, "torn", 4);
	assert_int_equal(mark_open(f->dir, &m, NULL), ERR_NONE);
	assert_int_equal(mark_move(m, points[2], points[2], NULL), ERR_NONE);
	mark_close(m);
	reads(f, 2, 2);
}

static void two_damaged_slots_are_corruption(void **state)
{
	struct fixture *f = *state;
	struct mark_value v;
	struct mark *m;
	struct ks_why why;

	overwrite(f, 16, "damage", 6);
	overwrite(f, 4096 + 16, "damage", 6);
	assert_int_equal(mark_read(f->dir, &v, &why), ERR_CORRUPTION);
	assert_non_null(strstr(why.text, f->path));
	assert_int_equal(mark_open(f->dir, &m, NULL), ERR_CORRUPTION);
	assert_int_equal(truncate(f->path, 0), 0);
	assert_int_equal(mark_read(f->dir, &v, NULL), ERR_CORRUPTION);
}

static void a_file_that_is_gone_is_not_found(void **state)
{
	struct fixture *f = *state;
	struct mark_value v;

	unlink(f->path);
	assert_int_equal(mark_read(f->dir, &v, NULL), ERR_NOT_FOUND);
}

static void what_was_not_synced_is_asked_for_within_one_boot_only(void **state)
{
	struct fixture *f = *state;
	struct mark_value v;

	assert_int_equal(mark_read(f->dir, &v, NULL), ERR_NONE);
	assert_int_equal(mark_least(&v), 30);
	v.boot_id[3] = (uint8_t)(v.boot_id[3] + 1);
	assert_int_equal(mark_least(&v), 20);
}

static void expect_end(const struct manifest_end *a, const struct manifest_end *b)
{
	assert_int_equal(a->number, b->number);
	assert_int_equal(a->bytes, b->bytes);
	assert_int_equal(a->crc, b->crc);
}

static void both_ends_of_the_manifest_are_kept_by_moves(void **state)
{
	struct fixture *f = *state;
	struct mark_value v;
	struct mark *m;

	assert_int_equal(mark_open(f->dir, &m, NULL), ERR_NONE);
	assert_int_equal(mark_manifests(m, &ends, NULL), ERR_NONE);
	reads(f, 1, 2);
	assert_int_equal(mark_move(m, points[2], points[2], NULL), ERR_NONE);
	mark_close(m);
	reads(f, 2, 2);
	assert_int_equal(mark_read(f->dir, &v, NULL), ERR_NONE);
	expect_end(&v.manifests.named, &ends.named);
	expect_end(&v.manifests.next, &ends.next);
}

/* As if the newest slot had been written before the machine's last start. */
static void change_boot(struct fixture *f)
{
	uint8_t slot[96];
	int fd = open(f->path, O_RDONLY);

	assert_int_equal(pread(fd, slot, sizeof slot, 4096), sizeof slot);
	close(fd);
	slot[72] = (uint8_t)(slot[72] + 1);
	put_u32be(slot + 92, crc32c_finished(0, slot, 92));
	overwrite(f, 4096, slot, sizeof slot);
}

/* Else a crash before the database is recovered would leave a mark that asks for what the power took. */
static void what_another_boot_had_written_is_not_asked_for_after_an_open(void **state)
{
	struct fixture *f = *state;
	struct mark *m;

	change_boot(f);
	reads(f, 1, 2);
	assert_int_equal(mark_open(f->dir, &m, NULL), ERR_NONE);
	assert_int_equal(mark_manifests(m, &ends, NULL), ERR_NONE);
	mark_close(m);
	reads(f, 1, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_last_move_is_read_back),
		TEST(a_torn_slot_falls_back_to_the_other),
		TEST(every_flipped_bit_of_a_slot_is_noticed),
		TEST(moves_after_a_torn_slot_are_read_back),
		TEST(two_damaged_slots_are_corruption),
		TEST(a_file_that_is_gone_is_not_found),
		TEST(both_ends_of_the_manifest_are_kept_by_moves),
		TEST(what_another_boot_had_written_is_not_asked_for_after_an_open),
		TEST(what_was_not_synced_is_asked_for_within_one_boot_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

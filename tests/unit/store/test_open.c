/* What store_open says to directories that are not as it left them. */
#include "base/log.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <fcntl.h>
#include <rocksdb/c.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/scratch.h"

struct fixture {
	char *scratch;
	char *dir; /* of a store with one topic, closed */
	struct ks_why why;
};

static char *join(const char *dir, const char *name)
{
	return xasprintf("%s/%s", dir, name);
}

static enum ks_err open_with(struct fixture *f, struct store_options o, struct store **s)
{
	f->why.text[0] = 0;
	return store_open(f->dir, &o, s, &f->why);
}

/* Opens, closes. */
static enum ks_err try_open(struct fixture *f, struct store_options o)
{
	struct store *s;
	enum ks_err err = open_with(f, o, &s);

	if (!err)
		store_close(s);
	return err;
}

static void put(struct fixture *f, enum store_cf cf, const char *key, struct slice value)
{
	struct store *s;

	assert_int_equal(open_with(f, (struct store_options){.create = true}, &s), ERR_NONE);
	struct store_write *w = store_write_new(s);
	store_put(w, cf, slice_str(key), value);
	assert_int_equal(store_commit(s, w, true, NULL), ERR_NONE);
	assert_int_equal(store_mark(s, NULL), ERR_NONE);
	store_write_free(w);
	store_close(s);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	f->scratch = scratch_make();
	f->dir = join(f->scratch, "data");
	put(f, CF_TOPICS, "t", slice_str("1"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	scratch_remove(f->scratch);
	free(f->dir);
	free(f);
	return 0;
}

static void says(struct fixture *f, const char *part)
{
	if (!strstr(f->why.text, part))
		fail_msg("\"%s\" is not in: %s", part, f->why.text);
}

static void damage(struct fixture *f, const char *name, off_t at)
{
	char *path = join(f->dir, name);
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, "damage", 6, at), 6);
	close(fd);
	free(path);
}

static void remove_file(struct fixture *f, const char *name)
{
	char *path = join(f->dir, name);

	scratch_empty(path);
	free(path);
}

static void without_create_nothing_is_made(void **state)
{
	struct fixture *f = *state;

	scratch_empty(f->dir);
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_NOT_FOUND);
	says(f, f->dir);
	assert_int_equal(access(f->dir, F_OK), -1);
	assert_int_equal(try_open(f, (struct store_options){.read_only = true}), ERR_NOT_FOUND);
	assert_int_equal(mkdir(f->dir, 0755), 0);
	assert_int_equal(try_open(f, (struct store_options){.read_only = true}), ERR_NOT_FOUND);
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_NOT_FOUND);
	assert_int_equal(rmdir(f->dir), 0); /* still empty */
}

static void a_file_in_place_of_the_directory_is_an_error(void **state)
{
	struct fixture *f = *state;

	scratch_empty(f->dir);
	close(open(f->dir, O_CREAT | O_WRONLY, 0644));
	assert_int_equal(try_open(f, (struct store_options){.create = true}), ERR_IO);
	says(f, "is not a directory");
}

static void a_mark_that_is_gone_is_refused_until_accepted(void **state)
{
	struct fixture *f = *state;

	remove_file(f, "mark");
	assert_int_equal(try_open(f, (struct store_options){.create = true}), ERR_LOST_WRITES);
	says(f, "/mark is gone");
	says(f, "--accept-lost-writes");
	assert_int_equal(try_open(f, (struct store_options){.accept_lost_writes = true}), ERR_NONE);
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_NONE);
}

static void a_mark_with_two_damaged_slots_is_refused_until_accepted(void **state)
{
	struct fixture *f = *state;

	damage(f, "mark", 20);
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_NONE);
	damage(f, "mark", 20);
	damage(f, "mark", 4096 + 20);
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_CORRUPTION);
	says(f, "neither of its slots");
	assert_int_equal(try_open(f, (struct store_options){.accept_lost_writes = true}), ERR_NONE);
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_NONE);
}

static void another_format_is_named(void **state)
{
	struct fixture *f = *state;
	static const uint8_t newer[4] = {0, 0, 0, 7};

	put(f, CF_META, "format", slice_of(newer, sizeof newer));
	assert_int_equal(try_open(f, (struct store_options){0}), ERR_DATA_VERSION);
	says(f, "data format 7");
	says(f, "this program has 2");
}

static void a_column_family_of_another_program_is_named(void **state)
{
	struct fixture *f = *state;
	static const char *const names[] = {"default", "log",    "index", "offsets", "txn",
					    "groups",  "topics", "jobs",  "state"};
	char *db = join(f->dir, "db"), *error = NULL;
	rocksdb_options_t *o = rocksdb_options_create();
	const rocksdb_options_t *options[9];
	rocksdb_column_family_handle_t *handles[9];

	for (int i = 0; i < 9; i++)
		options[i] = o;
	rocksdb_t *r = rocksdb_open_column_families(o, db, 9, names, options, handles, &error);
	assert_null(error);
	rocksdb_column_family_handle_t *theirs =
		rocksdb_create_column_family(r, o, "theirs", &error);
	assert_null(error);
	rocksdb_column_family_handle_destroy(theirs);
	for (int i = 0; i < 9; i++)
		rocksdb_column_family_handle_destroy(handles[i]);
	rocksdb_close(r);
	rocksdb_options_destroy(o);

	assert_int_equal(try_open(f, (struct store_options){0}), ERR_DATA_VERSION);
	says(f, "\"theirs\"");
	char *inside = f->dir; /* and who names the database itself is told where to look */
	f->dir = db;
	assert_int_equal(try_open(f, (struct store_options){.create = true}), ERR_DATA_VERSION);
	says(f, "is a RocksDB database itself");
	f->dir = inside;
	free(db);
}

static void a_database_that_is_gone_is_refused_while_its_mark_is_there(void **state)
{
	struct fixture *f = *state;

	scratch_empty(f->dir);
	assert_int_equal(mkdir(f->dir, 0755), 0);
	assert_int_equal(try_open(f, (struct store_options){.create = true}), ERR_NONE);
	remove_file(f, "db");
	assert_int_equal(try_open(f, (struct store_options){.create = true}), ERR_LOST_WRITES);
	remove_file(f, "mark");
	assert_int_equal(try_open(f, (struct store_options){.create = true}), ERR_NONE);
}

static void a_writer_does_not_hinder_a_reader(void **state)
{
	struct fixture *f = *state;
	struct store *writer;

	assert_int_equal(open_with(f, (struct store_options){0}, &writer), ERR_NONE);
	assert_int_equal(try_open(f, (struct store_options){.read_only = true}), ERR_NONE);
	store_close(writer);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_create_nothing_is_made),
		TEST(a_file_in_place_of_the_directory_is_an_error),
		TEST(a_mark_that_is_gone_is_refused_until_accepted),
		TEST(a_mark_with_two_damaged_slots_is_refused_until_accepted),
		TEST(another_format_is_named),
		TEST(a_column_family_of_another_program_is_named),
		TEST(a_database_that_is_gone_is_refused_while_its_mark_is_there),
		TEST(a_writer_does_not_hinder_a_reader),
	};

	log_set_level(LOG_OFF);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

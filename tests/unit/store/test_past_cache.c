/* Which way flushed messages go to the disk, as the kernel sees it: whether their pages are in its cache afterwards. */
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/scratch.h"

#define PAGE 4096
#define VALUE_BYTES                                                                                \
	((size_t)16 * PAGE) /* enough for a blob file, too little for a log that goes fast */

struct fixture {
	char *dir;
	struct store *s;
};

/* How much of a file is in the page cache, in percent. */
static int cached_percent(const char *path)
{
	unsigned char in_core[1024];
	struct stat st;
	size_t pages, cached = 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	assert_return_code(fd, 0);
	assert_return_code(fstat(fd, &st), 0);
	pages = ((size_t)st.st_size + PAGE - 1) / PAGE;
	assert_in_range(pages, 1, sizeof in_core);
	void *at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_return_code(mincore(at, (size_t)st.st_size, in_core), 0);
	for (size_t i = 0; i < pages; i++)
		cached += in_core[i] & 1;
	munmap(at, (size_t)st.st_size);
	close(fd);
	return (int)(cached * 100 / pages);
}

/* Whether files of dir can be written past the cache, and the kernel says so. A file system in memory cannot. */
static bool can_pass_cache(const char *dir)
{
	char *path = xasprintf("%s/probe", dir);
	void *bytes = aligned_alloc(PAGE, VALUE_BYTES);
	int fd = open(path, O_WRONLY | O_CREAT | O_DIRECT | O_CLOEXEC, 0600);
	bool can = false;

	memset(bytes, 'x', VALUE_BYTES);
	if (fd >= 0) {
		can = write(fd, bytes, VALUE_BYTES) == (ssize_t)VALUE_BYTES &&
		      cached_percent(path) == 0;
		close(fd);
		unlink(path);
	}
	free(bytes);
	free(path);
	return can;
}

/* The blob file with the highest number. */
static char *newest_blobs(const char *dir)
{
	char *db = xasprintf("%s/db", dir);
	DIR *d = opendir(db);
	char newest[256] = "";

	assert_non_null(d);
	for (struct dirent *e; (e = readdir(d));) {
		const char *dot = strrchr(e->d_name, '.');
		if (dot && !strcmp(dot, ".blob") && strcmp(e->d_name, newest) > 0)
			strcpy(newest, e->d_name);
	}
	closedir(d);
	assert_string_not_equal(newest, "");
	char *path = xasprintf("%s/%s", db, newest);
	free(db);
	return path;
}

static void put(struct fixture *f, const char *key)
{
	struct store_write *w = store_write_new(f->s);
	uint8_t *value = xmalloc(VALUE_BYTES);

	memset(value, 'm', VALUE_BYTES);
	store_put(w, CF_LOG, slice_str(key), (struct slice){value, VALUE_BYTES});
	assert_int_equal(store_commit(f->s, w, false, NULL), ERR_NONE);
	store_write_free(w);
	free(value);
}

/* Puts a message and flushes it; how much of it the cache has then, in percent. */
static int flushed_percent(struct fixture *f, const char *key)
{
	put(f, key);
	assert_int_equal(store_flush(f->s, NULL), ERR_NONE);
	char *path = newest_blobs(f->dir);
	int percent = cached_percent(path);
	free(path);
	return percent;
}

static void read_back(struct fixture *f, const char *key)
{
	struct buf b = {0};

	assert_int_equal(store_get(f->s, CF_LOG, slice_str(key), &b), ERR_NONE);
	assert_int_equal(b.len, VALUE_BYTES);
	buf_fini(&b);
}

static void set_up(struct fixture *f, bool has_jobs)
{
	struct store_options o = {.create = true, .has_jobs = has_jobs};
	struct ks_why why = {""};

	f->dir = scratch_make();
	if (!can_pass_cache(f->dir)) {
		scratch_remove(f->dir);
		print_message("the test's directory has no direct output\n");
		skip();
	}
	if (store_open(f->dir, &o, &f->s, &why))
		fail_msg("%s", why.text);
}

static void tear_down(struct fixture *f)
{
	store_close(f->s);
	scratch_remove(f->dir);
}

static void what_nobody_reads_is_not_in_the_cache(void **state)
{
	(void)state;
	struct fixture f;

	set_up(&f, false);
	assert_in_range(flushed_percent(&f, "a"), 0, 10);
	tear_down(&f);
}

static void after_a_read_of_what_was_flushed_it_is(void **state)
{
	(void)state;
	struct fixture f;

	set_up(&f, false);
	flushed_percent(&f, "a");
	read_back(&f, "a");
	assert_in_range(flushed_percent(&f, "b"), 90, 100);
	read_back(&f, "b");
	tear_down(&f);
}

static void a_read_of_what_is_in_memory_does_not_count(void **state)
{
	(void)state;
	struct fixture f;

	set_up(&f, false);
	put(&f, "a");
	read_back(&f, "a");
	assert_in_range(flushed_percent(&f, "b"), 0, 10);
	tear_down(&f);
}

static void with_jobs_it_is_always(void **state)
{
	(void)state;
	struct fixture f;

	set_up(&f, true);
	assert_in_range(flushed_percent(&f, "a"), 90, 100);
	tear_down(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_nobody_reads_is_not_in_the_cache),
		cmocka_unit_test(after_a_read_of_what_was_flushed_it_is),
		cmocka_unit_test(a_read_of_what_is_in_memory_does_not_count),
		cmocka_unit_test(with_jobs_it_is_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* script_fixture.h - scripts as texts: written to a file of the build folder, loaded, looked at. */
#ifndef TESTS_SCRIPT_FIXTURE_H
#define TESTS_SCRIPT_FIXTURE_H

#include <unistd.h>

#include "lua/script.h"
#include "tests/check.h"

struct script_fixture {
	char dir[64];
	char path[96];
	struct script_file *file;
	struct buf report;
};

static int fixture_setup(void **state)
{
	struct script_fixture *x = xcalloc(1, sizeof *x);

	snprintf(x->dir, sizeof x->dir, "/tmp/ks-script-XXXXXX");
	assert_non_null(mkdtemp(x->dir));
	snprintf(x->path, sizeof x->path, "%s/job.lua", x->dir);
	*state = x;
	return 0;
}

static int fixture_teardown(void **state)
{
	struct script_fixture *x = *state;
	char other[128];

	script_file_free(x->file);
	buf_fini(&x->report);
	unlink(x->path);
	snprintf(other, sizeof other, "%s/other.lua", x->dir);
	unlink(other);
	rmdir(x->dir);
	free(x);
	return 0;
}

static void fixture_write(const char *path, const char *text, size_t len)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, len, f), len);
	assert_int_equal(fclose(f), 0);
}

/* Loads the text as a script; what was loaded before goes. */
static inline enum ks_err fixture_load_with(struct script_fixture *x, const char *text, size_t len,
					    const struct script_options *options)
{
	script_file_free(x->file);
	x->file = NULL;
	buf_clear(&x->report);
	fixture_write(x->path, text, len);
	return script_file_load(x->path, options, &x->file, &x->report);
}

static inline enum ks_err fixture_load(struct script_fixture *x, const char *text)
{
	return fixture_load_with(x, text, strlen(text), NULL);
}

/* A job named "j" with this inside of its table. */
static inline enum ks_err fixture_load_job(struct script_fixture *x, const char *inside)
{
	char *text = xasprintf("local ks = require \"ks\"\nreturn ks.job \"j\" {\n%s\n}\n", inside);
	enum ks_err err = fixture_load(x, text);

	free(text);
	return err;
}

static inline const struct job *fixture_job(struct script_fixture *x, const char *inside)
{
	enum ks_err err = fixture_load_job(x, inside);

	if (err)
		print_error("%s", buf_cstr(&x->report));
	assert_int_equal(err, ERR_NONE);
	return script_file_job(x->file, 0);
}

/* The report has the text. */
static inline void fixture_says(struct script_fixture *x, const char *text)
{
	if (strstr(buf_cstr(&x->report), text))
		return;
	print_error("expected: %s\ngot: %s\n", text, buf_cstr(&x->report));
	fail();
}

#define SCRIPT_TEST(f) cmocka_unit_test_setup_teardown(f, fixture_setup, fixture_teardown)

#endif

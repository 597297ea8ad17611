/* scratch.h - a directory for one test, removed with everything in it. */
#ifndef TESTS_SCRATCH_H
#define TESTS_SCRATCH_H

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int scratch_remove_one(const char *path, const struct stat *st, int type,
				     struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

static inline void scratch_empty(const char *path)
{
	nftw(path, scratch_remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* An absolute path without links; release with scratch_remove. */
static inline char *scratch_make(void)
{
	const char *tmp = getenv("TMPDIR");
	char path[512];

	snprintf(path, sizeof path, "%s/ks-test-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	char *made = mkdtemp(path) ? realpath(path, NULL) : NULL;
	assert(made);
	return made;
}

static inline void scratch_remove(char *path)
{
	scratch_empty(path);
	free(path);
}

#endif

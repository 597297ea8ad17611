/* replay.c - runs a fuzz driver over every file of the given folders; without any it fails, so that
 * an empty corpus is noticed. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tests/fuzz/fuzz.h"

/* In memory of exactly the file's size, so that a read past the end is caught. */
static int replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	if (!f || fseek(f, 0, SEEK_END))
		return -1;
	long size = ftell(f);
	if (size < 0)
		return -1;
	rewind(f);
	uint8_t *bytes = xmalloc((size_t)size);
	size_t got = fread(bytes, 1, (size_t)size, f);
	fclose(f);
	if (got == (size_t)size)
		LLVMFuzzerTestOneInput(bytes, got);
	free(bytes);
	return got == (size_t)size ? 0 : -1;
}

/* How many files were replayed; -1: one could not be read. */
static int replay_folder(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;
	int count = 0;

	if (!dir)
		return -1;
	while (count >= 0 && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.')
			continue;
		char *path = xasprintf("%s/%s", folder, entry->d_name);
		count = replay_file(path) ? -1 : count + 1;
		if (count < 0)
			perror(path);
		free(path);
	}
	closedir(dir);
	return count;
}

int main(int argc, char **argv)
{
	int total = 0;

	for (int i = 1; i < argc; i++) {
		int count = replay_folder(argv[i]);
		if (count < 0) {
			fprintf(stderr, "cannot replay %s\n", argv[i]);
			return 1;
		}
		total += count;
	}
	printf("%d inputs replayed\n", total);
	return total > 0 ? 0 : 1;
}

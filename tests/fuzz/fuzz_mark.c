/* fuzz_mark.c - any bytes as the durable mark of a data directory: read whole or refused. */
#include "tests/fuzz/fuzz.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "store/mark.h"

static char dir[] = "/tmp/ks-fuzz-mark-XXXXXX";
static char path[sizeof dir + 8];

static void clean(void)
{
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mark_value value;
	struct ks_why why;

	if (!path[0]) {
		if (!mkdtemp(dir))
			abort();
		snprintf(path, sizeof path, "%s/mark", dir);
		atexit(clean);
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, data, size) != (ssize_t)size)
		abort();
	close(fd);
	enum ks_err err = mark_read(dir, &value, &why);
	if (err && err != ERR_CORRUPTION && err != ERR_IO && err != ERR_DATA_VERSION)
		abort();
	return 0;
}

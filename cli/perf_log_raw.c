/* perf_log_raw.c - the same bytes in plain files: the yardstick of perf log. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cli/perf_log.h"

/* Incompressible bytes, as the batches' are. */
static uint8_t *raw_block(const struct log_load *l)
{
	uint8_t *block = xmalloc(LOG_GROUP_BYTES);
	size_t len = 0;

	for (size_t k = 0; len < LOG_GROUP_BYTES; k++) {
		const struct frame *f = l->templates[k % LOG_TEMPLATES];
		size_t n = f->len < LOG_GROUP_BYTES - len ? f->len : LOG_GROUP_BYTES - len;
		memcpy(block + len, f->data, n);
		len += n;
	}
	return block;
}

static bool write_block(int fd, const uint8_t *block, size_t len)
{
	while (len) {
		ssize_t n = write(fd, block, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		block += n;
		len -= (size_t)n;
	}
	return true;
}

/* sync_ns NULL: one fsync at the end instead of an fdatasync per block. */
static bool write_all(int fd, const struct log_load *l, struct histogram *sync_ns)
{
	uint8_t *block = raw_block(l);
	int64_t left = log_load_bytes(l);
	bool is_fine = true;

	while (is_fine && left > 0) {
		size_t len = left < LOG_GROUP_BYTES ? (size_t)left : LOG_GROUP_BYTES;
		int64_t begin = perf_now_ns();
		is_fine = write_block(fd, block, len) && (!sync_ns || fdatasync(fd) == 0);
		if (sync_ns)
			histogram_record(sync_ns, perf_now_ns() - begin);
		left -= (int64_t)len;
	}
	free(block);
	return is_fine && fsync(fd) == 0;
}

static bool read_all(int fd)
{
	uint8_t *block = xmalloc(LOG_GROUP_BYTES);
	ssize_t n;

	lseek(fd, 0, SEEK_SET);
	while ((n = read(fd, block, LOG_GROUP_BYTES)) > 0 || (n < 0 && errno == EINTR))
		;
	free(block);
	return n == 0;
}

static bool drop(int fd)
{
	return fsync(fd) == 0 && posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED) == 0;
}

static int drop_file(const char *path, const struct stat *st, int type, struct FTW *place)
{
	(void)st;
	(void)place;
	if (type != FTW_F)
		return 0;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		drop(fd);
		close(fd);
	}
	return 0;
}

void log_drop_caches(const char *dir)
{
	nftw(dir, drop_file, 16, FTW_PHYS);
}

static void span_end(const struct perf_span *span, double *seconds, double *cpu_seconds)
{
	*seconds = perf_seconds(span);
	*cpu_seconds = perf_cpu_seconds(span);
}

static bool run_synced(int fd, const struct log_load *l, struct log_raw *out)
{
	struct perf_span span;

	perf_begin(&span);
	bool is_fine = write_all(fd, l, &out->sync_ns);
	span_end(&span, &out->synced_s, &out->synced_cpu_s);
	return is_fine;
}

static bool run_settled(int fd, const struct log_load *l, struct log_raw *out)
{
	struct perf_span span;

	perf_begin(&span);
	bool is_fine = write_all(fd, l, NULL);
	span_end(&span, &out->settled_s, &out->settled_cpu_s);
	if (!is_fine || !drop(fd))
		return false;

	perf_begin(&span);
	is_fine = read_all(fd);
	span_end(&span, &out->cold_s, &out->cold_cpu_s);
	perf_begin(&span);
	is_fine = is_fine && read_all(fd);
	span_end(&span, &out->warm_s, &out->warm_cpu_s);
	return is_fine;
}

enum ks_err log_raw_run(const struct log_load *l, const char *dir, struct log_raw *out,
			struct ks_why *why)
{
	bool (*const runs[])(int, const struct log_load *, struct log_raw *) = {run_synced,
										run_settled};
	char *path = xasprintf("%s/raw", dir);
	enum ks_err err = ERR_NONE;

	memset(out, 0, sizeof *out);
	for (size_t i = 0; !err && i < 2; i++) {
		int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
		if (fd < 0 || !runs[i](fd, l, out))
			err = ks_fail(why, ERR_IO, "%s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		unlink(path);
	}
	free(path);
	return err;
}

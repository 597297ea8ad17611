/* manifest.c - see manifest.h. */
#include "store/manifest.h"

#include "base/mem.h"
#include "store/crc.h"
#include "store/path.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct manifest {
	char *dir;
	int fd;
	struct manifest_end seen;
};

/* CURRENT holds "MANIFEST-000005" and a newline. */
static enum ks_err read_current(const char *dir, uint64_t *number, struct ks_why *why)
{
	char *path = xasprintf("%s/db/CURRENT", dir), text[64] = "", end;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum ks_err err = ERR_NONE;

	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		err = path_fail(why, "read", path);
	else if (sscanf(text, "MANIFEST-%" SCNu64 "%c", number, &end) != 2 || end != '\n')
		err = ks_fail(why, ERR_CORRUPTION,
			      "%s is damaged: it does not name a MANIFEST; restore the directory "
			      "from a copy",
			      path);
	if (fd >= 0)
		close(fd);
	free(path);
	return err;
}

static enum ks_err open_current(const char *dir, uint64_t *number, int *fd, struct ks_why *why)
{
	enum ks_err err = read_current(dir, number, why);

	if (err)
		return err;
	char *path = xasprintf("%s/db/MANIFEST-%06" PRIu64, dir, *number);
	*fd = open(path, O_RDONLY | O_CLOEXEC);
	if (*fd < 0)
		err = path_fail(why, "open", path);
	free(path);
	return err;
}

enum ks_err manifest_open(const char *dir, struct manifest **out, struct ks_why *why)
{
	struct manifest *m = xcalloc(1, sizeof *m);

	m->dir = xstrdup(dir);
	m->fd = -1;
	enum ks_err err = open_current(dir, &m->seen.number, &m->fd, why);
	if (err) {
		manifest_close(m);
		return err;
	}
	*out = m;
	return ERR_NONE;
}

/* Extends what was seen up to `bytes`. */
static enum ks_err read_to(struct manifest *m, uint64_t bytes, struct ks_why *why)
{
	uint8_t chunk[16384];

	while (m->seen.bytes < bytes) {
		size_t want = sizeof chunk;
		if (bytes - m->seen.bytes < want)
			want = (size_t)(bytes - m->seen.bytes);
		ssize_t n = pread(m->fd, chunk, want, (off_t)m->seen.bytes);
		if (n < 0)
			return path_fail(why, "read the MANIFEST in", m->dir);
		if (n == 0)
			break;
		m->seen.crc = crc32c_finished(m->seen.crc, chunk, (size_t)n);
		m->seen.bytes += (uint64_t)n;
	}
	return ERR_NONE;
}

/* RocksDB removes the old file once CURRENT names the next one. It may do so again before we open
 * what we read there, hence the repetition. */
static enum ks_err follow(struct manifest *m, struct ks_why *why)
{
	for (int tries = 0;; tries++) {
		struct manifest_end start = {0};
		int fd;
		enum ks_err err = open_current(m->dir, &start.number, &fd, why);
		if (err == ERR_NOT_FOUND && tries < 10)
			continue;
		if (err)
			return err;
		close(m->fd);
		m->fd = fd;
		m->seen = start;
		return ERR_NONE;
	}
}

enum ks_err manifest_look(struct manifest *m, struct manifest_end *out, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;
	struct stat st;

	if (fstat(m->fd, &st))
		return path_fail(why, "look at the MANIFEST in", m->dir);
	if (st.st_nlink == 0) {
		err = follow(m, why);
		if (!err && fstat(m->fd, &st))
			err = path_fail(why, "look at the MANIFEST in", m->dir);
	}
	if (!err)
		err = read_to(m, (uint64_t)st.st_size, why);
	if (!err)
		*out = m->seen;
	return err;
}

static enum ks_err compare(struct manifest *m, const struct manifest_end *least, struct ks_why *why)
{
	static const char advice[] =
		"the directory was damaged, or copied while it was in use; restore it from a copy";

	if (m->seen.number > least->number)
		return ERR_NONE;
	if (m->seen.number < least->number)
		return ks_fail(why, ERR_CORRUPTION,
			       "%s/db/CURRENT names MANIFEST-%06" PRIu64
			       ", and it had come to MANIFEST-%06" PRIu64 ": %s",
			       m->dir, m->seen.number, least->number, advice);
	enum ks_err err = read_to(m, least->bytes, why);
	if (err)
		return err;
	if (m->seen.bytes < least->bytes)
		return ks_fail(why, ERR_CORRUPTION,
			       "%s/db/MANIFEST-%06" PRIu64 " has %" PRIu64
			       " bytes, and it had %" PRIu64 ": %s",
			       m->dir, least->number, m->seen.bytes, least->bytes, advice);
	if (m->seen.crc != least->crc)
		return ks_fail(why, ERR_CORRUPTION,
			       "%s/db/MANIFEST-%06" PRIu64 " is not what was written: %s", m->dir,
			       least->number, advice);
	return ERR_NONE;
}

enum ks_err manifest_check(const char *dir, const struct manifest_end *least, struct ks_why *why)
{
	struct manifest *m;
	enum ks_err err = manifest_open(dir, &m, why);

	if (err) /* a MANIFEST that is gone is damage, not an absent database */
		return err == ERR_NOT_FOUND ? ERR_CORRUPTION : err;
	err = compare(m, least, why);
	manifest_close(m);
	return err;
}

enum ks_err manifest_sync(struct manifest *m, struct ks_why *why)
{
	if (fdatasync(m->fd))
		return path_fail(why, "sync the MANIFEST in", m->dir);
	return ERR_NONE;
}

void manifest_close(struct manifest *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	free(m->dir);
	free(m);
}

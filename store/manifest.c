/* manifest.c - see manifest.h. */
#include "store/manifest.h"

#include "base/mem.h"
#include "store/crc.h"
#include "store/path.h"
#include "store/wal_block.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char advice[] =
	"the directory was damaged, or copied while it was in use; restore it from a copy";

/* The MANIFEST that CURRENT names. */
struct manifest {
	const char *dir;
	uint64_t number;
	int fd;
};

bool manifest_number(const char *name, uint64_t *number)
{
	char more;

	return sscanf(name, "MANIFEST-%" SCNu64 "%c", number, &more) == 1;
}

/* CURRENT holds a name and a newline. */
static bool current_number(char *text, uint64_t *number)
{
	char *end = strchr(text, '\n');

	if (!end || end[1] != '\0')
		return false;
	*end = '\0';
	return manifest_number(text, number);
}

static enum ks_err read_current(struct manifest *m, struct ks_why *why)
{
	char *path = xasprintf("%s/db/CURRENT", m->dir), text[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum ks_err err = ERR_NONE;

	if (fd < 0 || read(fd, text, sizeof text - 1) < 0)
		err = path_fail(why, "read", path);
	else if (!current_number(text, &m->number))
		err = ks_fail(why, ERR_CORRUPTION,
			      "%s is damaged: it does not name a MANIFEST; restore the directory "
			      "from a copy",
			      path);
	if (fd >= 0)
		close(fd);
	free(path);
	return err;
}

static enum ks_err open_current(struct manifest *m, struct ks_why *why)
{
	enum ks_err err = read_current(m, why);

	if (err)
		return err;
	char *path = xasprintf("%s/db/MANIFEST-%06" PRIu64, m->dir, m->number);
	m->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (m->fd < 0)
		err = path_fail(why, "open", path);
	free(path);
	return err;
}

/* The next bytes, *got < len: the end. */
static enum ks_err read_next(const struct manifest *m, uint8_t *out, size_t len, size_t *got,
			     struct ks_why *why)
{
	for (*got = 0; *got < len;) {
		ssize_t n = read(m->fd, out + *got, len - *got);
		if (n < 0 && errno != EINTR)
			return path_fail(why, "read the MANIFEST in", m->dir);
		if (n == 0)
			break;
		*got += n > 0 ? (size_t)n : 0;
	}
	return ERR_NONE;
}

/* What a reading of the whole file tells. */
struct content {
	uint64_t bytes;
	bool is_whole;             /* every record, to the end */
	struct manifest_end begin; /* no more than was asked for */
};

static void take_block(struct content *c, uint64_t wanted, uint8_t *block, size_t len)
{
	size_t n = len;

	if (wanted - c->begin.bytes < n)
		n = (size_t)(wanted - c->begin.bytes);
	c->begin.crc = crc32c_finished(c->begin.crc, block, n);
	c->begin.bytes += n;
	c->bytes += len;
	c->is_whole = c->is_whole && wal_block_unsalt(block, len, wal_salt(0)) == len;
}

static enum ks_err read_content(const struct manifest *m, uint64_t wanted, struct content *out,
				struct ks_why *why)
{
	uint8_t *block = xmalloc(WAL_BLOCK_BYTES);
	size_t got = WAL_BLOCK_BYTES;
	enum ks_err err = ERR_NONE;

	*out = (struct content){.is_whole = true, .begin.number = m->number};
	while (!err && got == WAL_BLOCK_BYTES) {
		err = read_next(m, block, WAL_BLOCK_BYTES, &got, why);
		if (!err)
			take_block(out, wanted, block, got);
	}
	free(block);
	return err;
}

static enum ks_err check_begin(const struct manifest *m, const struct manifest_end *least,
			       struct manifest_view *out, struct ks_why *why)
{
	struct content c;
	enum ks_err err = read_content(m, least->bytes, &c, why);

	if (err)
		return err;
	if (c.begin.bytes < least->bytes)
		return ks_fail(why, ERR_CORRUPTION,
			       "%s/db/MANIFEST-%06" PRIu64 " has %" PRIu64
			       " bytes, and it had %" PRIu64 ": %s",
			       m->dir, m->number, c.bytes, least->bytes, advice);
	if (c.begin.crc != least->crc)
		return ks_fail(why, ERR_CORRUPTION,
			       "%s/db/MANIFEST-%06" PRIu64 " is not what was written: %s", m->dir,
			       m->number, advice);
	out->durable = *least;
	out->readable = c.is_whole ? c.bytes : least->bytes;
	return ERR_NONE;
}

static enum ks_err check_current(const struct manifest *m, const struct manifest_ends *ends,
				 struct manifest_view *out, struct ks_why *why)
{
	*out = (struct manifest_view){.readable = UINT64_MAX};
	if (m->number > ends->next.number)
		return ERR_NONE;
	if (m->number == ends->next.number)
		return check_begin(m, &ends->next, out, why);
	if (m->number == ends->named.number)
		return check_begin(m, &ends->named, out, why);
	return ks_fail(why, ERR_CORRUPTION,
		       "%s/db/CURRENT names MANIFEST-%06" PRIu64
		       ", and it had come to MANIFEST-%06" PRIu64 ": %s",
		       m->dir, m->number, ends->next.number, advice);
}

enum ks_err manifest_check(const char *dir, const struct manifest_ends *ends,
			   struct manifest_view *out, struct ks_why *why)
{
	struct manifest m = {.dir = dir, .fd = -1};
	enum ks_err err = open_current(&m, why);

	if (err == ERR_NOT_FOUND) /* a MANIFEST that is gone is damage, not an absent database */
		err = ERR_CORRUPTION;
	if (!err)
		err = check_current(&m, ends, out, why);
	if (m.fd >= 0)
		close(m.fd);
	return err;
}

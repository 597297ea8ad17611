/* mark.c - see mark.h. */
#include "store/mark.h"

#include "base/boot.h"
#include "base/mem.h"
#include "store/crc.h"
#include "store/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A slot has a page of its own, so that tearing one never touches the other. */
#define SLOT_STRIDE 4096
#define SLOT_BYTES  96
#define FILE_BYTES  (2 * SLOT_STRIDE)

/* The fields of a slot, big-endian, by their place. */
enum {
	AT_MAGIC = 0,   /* 8 bytes */
	AT_COUNTER = 8, /* u64 */
	AT_SYNCED = 16, /* three u64: sequence, number and bytes of the MANIFEST, u32: its CRC32C */
	AT_WRITTEN = 44, /* likewise */
	AT_BOOT_ID = 72, /* 16 bytes */
	AT_FORMAT = 88,  /* u32 */
	AT_CRC = 92,     /* u32, of all before it */
};

static const uint8_t magic[8] = {'k', 's', ' ', 'm', 'a', 'r', 'k', '\n'};

struct mark {
	int fd;
	char *path;
	uint64_t counter; /* of the newest slot; its parity says which slot that is */
	struct mark_value value;
	bool dirty; /* moved since the last sync */
};

static void encode_point(uint8_t *out, const struct mark_point *at)
{
	put_u64be(out, at->sequence);
	put_u64be(out + 8, at->manifest.number);
	put_u64be(out + 16, at->manifest.bytes);
	put_u32be(out + 24, at->manifest.crc);
}

static struct mark_point decode_point(const uint8_t *in)
{
	return (struct mark_point){
		.sequence = get_u64be(in),
		.manifest.number = get_u64be(in + 8),
		.manifest.bytes = get_u64be(in + 16),
		.manifest.crc = get_u32be(in + 24),
	};
}

static void encode(uint8_t slot[SLOT_BYTES], uint64_t counter, const struct mark_value *v)
{
	memset(slot, 0, SLOT_BYTES);
	memcpy(slot + AT_MAGIC, magic, sizeof magic);
	put_u64be(slot + AT_COUNTER, counter);
	encode_point(slot + AT_SYNCED, &v->synced);
	encode_point(slot + AT_WRITTEN, &v->written);
	memcpy(slot + AT_BOOT_ID, v->boot_id, sizeof v->boot_id);
	put_u32be(slot + AT_FORMAT, v->format);
	put_u32be(slot + AT_CRC, crc32c_finished(0, slot, AT_CRC));
}

static bool decode(const uint8_t slot[SLOT_BYTES], uint64_t *counter, struct mark_value *v)
{
	if (memcmp(slot + AT_MAGIC, magic, sizeof magic) != 0 ||
	    get_u32be(slot + AT_CRC) != crc32c_finished(0, slot, AT_CRC))
		return false;
	*counter = get_u64be(slot + AT_COUNTER);
	v->synced = decode_point(slot + AT_SYNCED);
	v->written = decode_point(slot + AT_WRITTEN);
	v->format = get_u32be(slot + AT_FORMAT);
	memcpy(v->boot_id, slot + AT_BOOT_ID, sizeof v->boot_id);
	return true;
}

/* The newest whole slot. */
static enum ks_err read_slots(int fd, const char *path, uint64_t *counter, struct mark_value *out,
			      struct ks_why *why)
{
	bool found = false;

	for (int i = 0; i < 2; i++) {
		uint8_t slot[SLOT_BYTES];
		struct mark_value v;
		uint64_t c;
		ssize_t n = pread(fd, slot, sizeof slot, (off_t)i * SLOT_STRIDE);

		if (n < 0)
			return path_fail(why, "read", path);
		if (n != sizeof slot || !decode(slot, &c, &v) || (found && c < *counter))
			continue;
		found = true;
		*counter = c;
		*out = v;
	}
	if (!found)
		return ks_fail(why, ERR_CORRUPTION, "%s is damaged: neither of its slots is whole",
			       path);
	return ERR_NONE;
}

enum ks_err mark_read(const char *dir, struct mark_value *out, struct ks_why *why)
{
	char *path = xasprintf("%s/mark", dir);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum ks_err err;
	uint64_t counter;

	if (fd < 0) {
		err = path_fail(why, "open", path);
	} else {
		err = read_slots(fd, path, &counter, out, why);
		close(fd);
	}
	free(path);
	return err;
}

static enum ks_err write_file(const char *path, const uint8_t *bytes, size_t len,
			      struct ks_why *why)
{
	enum ks_err err = ERR_NONE;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		return path_fail(why, "create", path);
	errno = ENOSPC; /* what a short write means */
	if (write(fd, bytes, len) != (ssize_t)len || fsync(fd))
		err = path_fail(why, "write", path);
	close(fd);
	return err;
}

enum ks_err mark_create(const char *dir, const struct mark_point *at, uint32_t format,
			struct ks_why *why)
{
	char *path = xasprintf("%s/mark", dir), *next = xasprintf("%s/mark.new", dir);
	struct mark_value v = {.synced = *at, .written = *at, .format = format};
	uint8_t *file = xcalloc(1, FILE_BYTES);
	enum ks_err err;

	(void)boot_id_read(v.boot_id);
	encode(file, 0, &v);
	encode(file + SLOT_STRIDE, 1, &v);
	err = write_file(next, file, FILE_BYTES, why);
	if (!err && rename(next, path))
		err = path_fail(why, "create", path);
	if (!err)
		err = path_sync_dir(dir, why);
	free(file);
	free(next);
	free(path);
	return err;
}

enum ks_err mark_open(const char *dir, struct mark **out, struct ks_why *why)
{
	struct mark *m = xcalloc(1, sizeof *m);
	enum ks_err err;

	m->path = xasprintf("%s/mark", dir);
	m->fd = open(m->path, O_RDWR | O_CLOEXEC);
	if (m->fd < 0)
		err = path_fail(why, "open", m->path);
	else
		err = read_slots(m->fd, m->path, &m->counter, &m->value, why);
	if (err) {
		mark_close(m);
		return err;
	}
	(void)boot_id_read(m->value.boot_id);
	*out = m;
	return ERR_NONE;
}

enum ks_err mark_move(struct mark *m, const struct mark_point *synced,
		      const struct mark_point *written, struct ks_why *why)
{
	uint8_t slot[SLOT_BYTES];
	uint64_t counter = m->counter + 1;

	assert(synced->sequence <= written->sequence);
	m->value.synced = *synced;
	m->value.written = *written;
	encode(slot, counter, &m->value);
	errno = ENOSPC; /* what a short write means */
	if (pwrite(m->fd, slot, sizeof slot, (off_t)(counter & 1) * SLOT_STRIDE) != sizeof slot)
		return path_fail(why, "write", m->path);
	m->counter = counter;
	m->dirty = true;
	return ERR_NONE;
}

enum ks_err mark_sync(struct mark *m, struct ks_why *why)
{
	if (!m->dirty)
		return ERR_NONE;
	if (fdatasync(m->fd))
		return path_fail(why, "sync", m->path);
	m->dirty = false;
	return ERR_NONE;
}

void mark_close(struct mark *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	free(m->path);
	free(m);
}

const struct mark_point *mark_least(const struct mark_value *v)
{
	uint8_t now[BOOT_ID_BYTES];

	if (boot_id_read(now) && memcmp(now, v->boot_id, sizeof now) == 0)
		return &v->written;
	return &v->synced;
}

/* mark.c - see mark.h. */
#include "store/mark.h"

#include "base/boot.h"
#include "base/mem.h"
#include "store/crc.h"
#include "store/path.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
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
	AT_MAGIC = 0,    /* 8 bytes */
	AT_COUNTER = 8,  /* u64 */
	AT_SYNCED = 16,  /* u64 */
	AT_WRITTEN = 24, /* u64 */
	AT_NAMED = 32,   /* number and bytes of the MANIFEST, two u64, u32: its CRC32C */
	AT_NEXT = 52,    /* likewise */
	AT_BOOT_ID = 72, /* 16 bytes */
	AT_FORMAT = 88,  /* u32 */
	AT_CRC = 92,     /* u32, of all before it */
};

static const uint8_t magic[8] = {'k', 's', ' ', 'm', 'a', 'r', 'k', '\n'};

struct mark {
	int fd;
	char *path;

	pthread_mutex_t mtx; /* of the rest; never held while the disk is waited for */
	uint64_t counter;    /* of the newest slot; its parity says which slot that is */
	uint64_t on_disk;    /* the counter that is known to be there */
	struct mark_value value;
};

static void encode_end(uint8_t *out, const struct manifest_end *end)
{
	put_u64be(out, end->number);
	put_u64be(out + 8, end->bytes);
	put_u32be(out + 16, end->crc);
}

static struct manifest_end decode_end(const uint8_t *in)
{
	return (struct manifest_end){
		.number = get_u64be(in),
		.bytes = get_u64be(in + 8),
		.crc = get_u32be(in + 16),
	};
}

static void encode(uint8_t slot[SLOT_BYTES], uint64_t counter, const struct mark_value *v)
{
	memset(slot, 0, SLOT_BYTES);
	memcpy(slot + AT_MAGIC, magic, sizeof magic);
	put_u64be(slot + AT_COUNTER, counter);
	put_u64be(slot + AT_SYNCED, v->synced);
	put_u64be(slot + AT_WRITTEN, v->written);
	encode_end(slot + AT_NAMED, &v->manifests.named);
	encode_end(slot + AT_NEXT, &v->manifests.next);
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
	v->synced = get_u64be(slot + AT_SYNCED);
	v->written = get_u64be(slot + AT_WRITTEN);
	v->manifests.named = decode_end(slot + AT_NAMED);
	v->manifests.next = decode_end(slot + AT_NEXT);
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

enum ks_err mark_create(const char *dir, uint64_t sequence, uint32_t format, struct ks_why *why)
{
	char *path = xasprintf("%s/mark", dir), *next = xasprintf("%s/mark.new", dir);
	struct mark_value v = {.synced = sequence, .written = sequence, .format = format};
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

	pthread_mutex_init(&m->mtx, NULL);
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
	m->value.written = mark_least(&m->value); /* of what another boot had written */
	(void)boot_id_read(m->value.boot_id);
	*out = m;
	return ERR_NONE;
}

/* Under mtx. */
static enum ks_err write_slot(struct mark *m, struct ks_why *why)
{
	uint8_t slot[SLOT_BYTES];
	uint64_t counter = m->counter + 1;

	encode(slot, counter, &m->value);
	errno = ENOSPC; /* what a short write means */
	if (pwrite(m->fd, slot, sizeof slot, (off_t)(counter & 1) * SLOT_STRIDE) != sizeof slot)
		return path_fail(why, "write", m->path);
	m->counter = counter;
	return ERR_NONE;
}

enum ks_err mark_move(struct mark *m, uint64_t synced, uint64_t written, struct ks_why *why)
{
	assert(synced <= written);
	pthread_mutex_lock(&m->mtx);
	m->value.synced = synced;
	m->value.written = written;
	enum ks_err err = write_slot(m, why);
	pthread_mutex_unlock(&m->mtx);
	return err;
}

/* A sync of another thread may have begun before the slot of this counter was written: it does not count. */
static enum ks_err sync_to(struct mark *m, uint64_t counter, struct ks_why *why)
{
	if (fdatasync(m->fd))
		return path_fail(why, "sync", m->path);
	pthread_mutex_lock(&m->mtx);
	if (m->on_disk < counter)
		m->on_disk = counter;
	pthread_mutex_unlock(&m->mtx);
	return ERR_NONE;
}

enum ks_err mark_sync(struct mark *m, struct ks_why *why)
{
	pthread_mutex_lock(&m->mtx);
	uint64_t counter = m->counter;
	bool dirty = counter != m->on_disk;
	pthread_mutex_unlock(&m->mtx);
	return dirty ? sync_to(m, counter, why) : ERR_NONE;
}

enum ks_err mark_manifests(struct mark *m, const struct manifest_ends *ends, struct ks_why *why)
{
	pthread_mutex_lock(&m->mtx);
	m->value.manifests = *ends;
	enum ks_err err = write_slot(m, why);
	uint64_t counter = m->counter;
	pthread_mutex_unlock(&m->mtx);
	return err ? err : sync_to(m, counter, why);
}

void mark_close(struct mark *m)
{
	if (!m)
		return;
	if (m->fd >= 0)
		close(m->fd);
	pthread_mutex_destroy(&m->mtx);
	free(m->path);
	free(m);
}

uint64_t mark_least(const struct mark_value *v)
{
	uint8_t now[BOOT_ID_BYTES];

	if (boot_id_read(now) && memcmp(now, v->boot_id, sizeof now) == 0)
		return v->written;
	return v->synced;
}

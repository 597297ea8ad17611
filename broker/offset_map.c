/* offset_map.c - see offset_map.h. Open addressing, the next free slot, never a deletion. */
#include "broker/offset_map.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <xxhash.h>

#include "base/random.h"

#define SECRET_BYTES 192
#define KEYS_MIN     1024

struct slot {
	XXH128_hash_t hash;
	int64_t offset_next; /* of the last record, plus one; 0: the slot is free */
};

struct offset_map {
	uint64_t slots, keys, keys_max;
	struct slot *table;
};

static uint8_t secret[SECRET_BYTES];
static pthread_once_t secret_once = PTHREAD_ONCE_INIT;

static void make_secret(void)
{
	random_bytes(secret, sizeof secret);
}

struct offset_map *offset_map_new(uint64_t keys_max, size_t bytes_max)
{
	struct offset_map *m = xcalloc(1, sizeof *m);
	uint64_t fit = bytes_max / sizeof(struct slot) / 4 * 3;

	pthread_once(&secret_once, make_secret);
	if (fit < KEYS_MIN)
		fit = KEYS_MIN;
	m->keys_max = keys_max < fit ? keys_max : fit;
	m->slots = m->keys_max + m->keys_max / 3 + 1;
	m->table = xcalloc(m->slots, sizeof *m->table);
	return m;
}

void offset_map_free(struct offset_map *m)
{
	if (!m)
		return;
	free(m->table);
	free(m);
}

bool offset_map_has_room(const struct offset_map *m, uint64_t keys)
{
	return keys <= m->keys_max - m->keys;
}

/* The slot of the key, or the free one where it would go. */
static struct slot *find(const struct offset_map *m, struct slice key, XXH128_hash_t *hash)
{
	*hash = XXH3_128bits_withSecret(key.data, key.len, secret, sizeof secret);
	uint64_t at = hash->low64 % m->slots;

	while (m->table[at].offset_next && !XXH128_isEqual(m->table[at].hash, *hash))
		at = at + 1 == m->slots ? 0 : at + 1;
	return &m->table[at];
}

void offset_map_put(struct offset_map *m, struct slice key, int64_t offset)
{
	XXH128_hash_t hash;
	struct slot *s = find(m, key, &hash);

	if (!s->offset_next) {
		assert(m->keys < m->keys_max);
		m->keys++;
		s->hash = hash;
	}
	if (s->offset_next <= offset)
		s->offset_next = offset + 1;
}

int64_t offset_map_get(const struct offset_map *m, struct slice key)
{
	XXH128_hash_t hash;

	return find(m, key, &hash)->offset_next - 1;
}

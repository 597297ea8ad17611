/* fetch_session.c - see fetch_session.h. */
#include "server/fetch_session.h"

#include <stdlib.h>
#include <sys/random.h>

#define EVICTION_MS 120000

struct fetch_sessions {
	int max;
	uint64_t seed;

	pthread_mutex_t mtx;
	/* under mtx */
	TAILQ_HEAD(, fetch_session) by_use; /* the one not used for longest first */
	struct fetch_session **buckets;     /* by id, open addressing */
	size_t bucket_count;
	int count;
	size_t partitions;
};

static uint64_t random_number(void)
{
	uint64_t n = 0;

	if (getrandom(&n, sizeof n, GRND_NONBLOCK) != sizeof n)
		n ^= (uint64_t)(uintptr_t)&n;
	return n;
}

/* --- partitions of a session --- */

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0x9fb21c651e98df25);
	h ^= h >> 29;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

uint64_t fetch_key_hash(uint64_t seed, const struct fetch_topic_key *k, int32_t index)
{
	struct slice bytes = k->name.data ? k->name : slice_of(k->id.bytes, sizeof k->id.bytes);
	uint64_t h = mix(seed ^ (uint32_t)index);

	for (size_t i = 0; i < bytes.len; i += 8) {
		uint64_t word = 0;
		memcpy(&word, bytes.data + i, bytes.len - i < 8 ? bytes.len - i : 8);
		h = mix(h ^ word) + seed;
	}
	return mix(h ^ bytes.len);
}

static uint64_t hash_of(const struct fetch_session *s, const struct fetch_topic_key *k,
			int32_t index)
{
	return fetch_key_hash(s->seed, k, index);
}

static struct fetch_topic_key key_of(const struct session_part *part)
{
	return (struct fetch_topic_key){part->name, part->id};
}

static bool is_same(const struct session_part *part, const struct fetch_topic_key *k, int32_t index)
{
	if (part->index != index)
		return false;
	if (!part->name.data)
		return !memcmp(part->id.bytes, k->id.bytes, sizeof k->id.bytes);
	return slice_equal(part->name, k->name);
}

static struct session_part **place_of(struct fetch_session *s, const struct fetch_topic_key *k,
				      int32_t index)
{
	struct session_part **at = &s->buckets[hash_of(s, k, index) & (s->bucket_count - 1)];

	while (*at && !is_same(*at, k, index))
		at = &(*at)->next_in_bucket;
	return at;
}

struct session_part *fetch_session_find(struct fetch_session *s, const struct fetch_topic_key *k,
					int32_t index)
{
	return *place_of(s, k, index);
}

static void grow(struct fetch_session *s)
{
	size_t count = 2 * s->bucket_count;
	struct session_part *part;

	free(s->buckets);
	s->buckets = xcalloc(count, sizeof(*s->buckets));
	s->bucket_count = count;
	TAILQ_FOREACH(part, &s->parts, in_order)
	{
		struct fetch_topic_key k = key_of(part);
		struct session_part **at = &s->buckets[hash_of(s, &k, part->index) & (count - 1)];
		part->next_in_bucket = *at;
		*at = part;
	}
}

static struct slice copy_of(struct slice s)
{
	if (!s.data)
		return SLICE_NULL;
	return slice_of(memcpy(xmalloc(s.len + 1), s.data, s.len), s.len);
}

struct session_part *fetch_session_put(struct fetch_session *s, const struct fetch_topic_key *k,
				       int32_t index)
{
	struct session_part **at = place_of(s, k, index);

	if (*at)
		return *at;
	struct session_part *part = xcalloc(1, sizeof *part);
	part->name = copy_of(k->name);
	part->id = k->id;
	part->index = index;
	part->sent_high_watermark = part->sent_log_start_offset = -1;
	*at = part;
	TAILQ_INSERT_TAIL(&s->parts, part, in_order);
	if (++s->count > s->bucket_count)
		grow(s);
	return part;
}

static void free_part(struct session_part *part)
{
	free((void *)(uintptr_t)part->name.data);
	free(part);
}

void fetch_session_drop(struct fetch_session *s, const struct fetch_topic_key *k, int32_t index)
{
	struct session_part **at = place_of(s, k, index), *part = *at;

	if (!part)
		return;
	*at = part->next_in_bucket;
	TAILQ_REMOVE(&s->parts, part, in_order);
	s->count--;
	free_part(part);
}

void fetch_session_served(struct fetch_session *s, struct session_part *part)
{
	TAILQ_REMOVE(&s->parts, part, in_order);
	TAILQ_INSERT_TAIL(&s->parts, part, in_order);
}

static struct fetch_session *session_new(int32_t id, bool uses_ids)
{
	struct fetch_session *s = xcalloc(1, sizeof *s);

	s->id = id;
	s->uses_ids = uses_ids;
	s->epoch = 1;
	s->seed = random_number();
	s->bucket_count = 8;
	s->buckets = xcalloc(s->bucket_count, sizeof(*s->buckets));
	TAILQ_INIT(&s->parts);
	pthread_mutex_init(&s->mtx, NULL);
	return s;
}

static void session_free(struct fetch_session *s)
{
	struct session_part *part;

	while ((part = TAILQ_FIRST(&s->parts))) {
		TAILQ_REMOVE(&s->parts, part, in_order);
		free_part(part);
	}
	pthread_mutex_destroy(&s->mtx);
	free(s->buckets);
	free(s);
}

/* --- the cache; everything static below is under its mtx --- */

struct fetch_sessions *fetch_sessions_new(int sessions_max)
{
	struct fetch_sessions *ss = xcalloc(1, sizeof *ss);

	ss->max = sessions_max;
	ss->seed = random_number();
	ss->bucket_count = 16;
	while (ss->bucket_count < 2 * (size_t)sessions_max)
		ss->bucket_count *= 2;
	ss->buckets = xcalloc(ss->bucket_count, sizeof(*ss->buckets));
	TAILQ_INIT(&ss->by_use);
	pthread_mutex_init(&ss->mtx, NULL);
	return ss;
}

/* Ids are random, so their low bits spread them. */
static size_t bucket_of(const struct fetch_sessions *ss, int32_t id)
{
	size_t at = (uint32_t)id & (ss->bucket_count - 1);

	while (ss->buckets[at] && ss->buckets[at]->id != id)
		at = (at + 1) & (ss->bucket_count - 1);
	return at;
}

static void unref(struct fetch_session *s)
{
	if (--s->refs == 0)
		session_free(s);
}

/* Those behind an emptied place may have to move up. */
static void fill_gap(struct fetch_sessions *ss, size_t gap)
{
	size_t mask = ss->bucket_count - 1;

	for (size_t at = (gap + 1) & mask; ss->buckets[at]; at = (at + 1) & mask) {
		size_t home = (uint32_t)ss->buckets[at]->id & mask;
		if (((at - home) & mask) < ((at - gap) & mask))
			continue;
		ss->buckets[gap] = ss->buckets[at];
		ss->buckets[at] = NULL;
		gap = at;
	}
}

static void uncache(struct fetch_sessions *ss, struct fetch_session *s)
{
	size_t at = bucket_of(ss, s->id);

	ss->buckets[at] = NULL;
	fill_gap(ss, at);
	TAILQ_REMOVE(&ss->by_use, s, in_use_order);
	ss->count--;
	ss->partitions -= s->cached_count;
	s->is_cached = false;
	unref(s);
}

void fetch_sessions_free(struct fetch_sessions *ss)
{
	struct fetch_session *s;

	if (!ss)
		return;
	while ((s = TAILQ_FIRST(&ss->by_use)))
		uncache(ss, s);
	pthread_mutex_destroy(&ss->mtx);
	free(ss->buckets);
	free(ss);
}

struct fetch_session *fetch_sessions_find(struct fetch_sessions *ss, int32_t id, int64_t now_ms)
{
	pthread_mutex_lock(&ss->mtx);
	struct fetch_session *s = ss->buckets[bucket_of(ss, id)];
	if (s) {
		s->refs++;
		s->used_ms = now_ms;
		TAILQ_REMOVE(&ss->by_use, s, in_use_order);
		TAILQ_INSERT_TAIL(&ss->by_use, s, in_use_order);
	}
	pthread_mutex_unlock(&ss->mtx);
	return s;
}

void fetch_session_unref(struct fetch_sessions *ss, struct fetch_session *s)
{
	if (!s)
		return;
	pthread_mutex_lock(&ss->mtx);
	unref(s);
	pthread_mutex_unlock(&ss->mtx);
}

void fetch_sessions_remove(struct fetch_sessions *ss, int32_t id)
{
	pthread_mutex_lock(&ss->mtx);
	struct fetch_session *s = ss->buckets[bucket_of(ss, id)];
	if (s)
		uncache(ss, s);
	pthread_mutex_unlock(&ss->mtx);
}

static bool has_room(const struct fetch_sessions *ss, size_t partitions)
{
	return ss->count < ss->max && ss->partitions + partitions <= SESSION_PARTITIONS_MAX;
}

/* Makes room for a session of so many partitions, as far as the rules allow. Those that were not used for long are in
 * front; a smaller one that has lived long enough may be anywhere. */
static void evict_for(struct fetch_sessions *ss, size_t partitions, int64_t now_ms)
{
	struct fetch_session *s = TAILQ_FIRST(&ss->by_use), *next;

	while (!has_room(ss, partitions) && (s = TAILQ_FIRST(&ss->by_use)) &&
	       now_ms - s->used_ms >= EVICTION_MS)
		uncache(ss, s);
	for (s = TAILQ_FIRST(&ss->by_use); s && !has_room(ss, partitions); s = next) {
		next = TAILQ_NEXT(s, in_use_order);
		if (s->cached_count < partitions && now_ms - s->made_ms >= EVICTION_MS)
			uncache(ss, s);
	}
}

static int32_t unused_id(const struct fetch_sessions *ss)
{
	int32_t id;

	do
		id = (int32_t)(random_number() & INT32_MAX);
	while (id == 0 || ss->buckets[bucket_of(ss, id)]);
	return id;
}

struct fetch_session *fetch_sessions_add(struct fetch_sessions *ss, bool uses_ids,
					 size_t partitions, int64_t now_ms)
{
	struct fetch_session *s = NULL;

	pthread_mutex_lock(&ss->mtx);
	if (!has_room(ss, partitions))
		evict_for(ss, partitions, now_ms);
	if (has_room(ss, partitions)) {
		s = session_new(unused_id(ss), uses_ids);
		s->refs = 2; /* the cache's and the caller's */
		s->is_cached = true;
		s->made_ms = s->used_ms = now_ms;
		s->cached_count = partitions;
		ss->buckets[bucket_of(ss, s->id)] = s;
		ss->count++;
		ss->partitions += partitions;
		TAILQ_INSERT_TAIL(&ss->by_use, s, in_use_order);
	}
	pthread_mutex_unlock(&ss->mtx);
	return s;
}

bool fetch_sessions_resize(struct fetch_sessions *ss, struct fetch_session *s, size_t partitions)
{
	bool fits = true;

	pthread_mutex_lock(&ss->mtx);
	if (s->is_cached && partitions > s->cached_count &&
	    ss->partitions - s->cached_count + partitions > SESSION_PARTITIONS_MAX) {
		uncache(ss, s);
		fits = false;
	}
	if (s->is_cached) {
		ss->partitions = ss->partitions - s->cached_count + partitions;
		s->cached_count = partitions;
	}
	pthread_mutex_unlock(&ss->mtx);
	return fits;
}

uint64_t fetch_sessions_seed(const struct fetch_sessions *ss)
{
	return ss->seed;
}

int fetch_sessions_count(struct fetch_sessions *ss)
{
	pthread_mutex_lock(&ss->mtx);
	int count = ss->count;
	pthread_mutex_unlock(&ss->mtx);
	return count;
}

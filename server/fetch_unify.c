/* fetch_unify.c - a Fetch that names a partition more than once: as in Kafka it is read and answered once, in the place where it
 * was named first, with what was said of it last.
 *
 * A partition that were read as often as it is named would cost the loop's time at every write that wakes
 * the fetch, and a request has room for a hundred thousand names.
 */
#include <stdlib.h>

#include "server/fetch.h"
#include "server/server_impl.h"

#define FEW 16 /* so many are compared one by one */

typedef struct fetch_request_topic topic;
typedef struct fetch_request_partition partition;

/* One that stays in the request. */
struct named {
	const topic *t;
	partition *p;
};

struct names {
	struct named *places; /* few: a list; else open addressing */
	size_t count, mask;   /* mask 0: few */
	uint64_t seed;
};

static bool is_same(const struct named *n, const topic *t, int32_t index)
{
	if (n->p->partition != index)
		return false;
	return n->t == t || (slice_equal(n->t->topic, t->topic) &&
			     !memcmp(&n->t->topic_id, &t->topic_id, sizeof t->topic_id));
}

/* The place of this partition: what has no p is free for it. */
static struct named *place_of(const struct names *names, const topic *t, int32_t index)
{
	/* Named by its id it has no name. */
	struct fetch_topic_key k = {t->topic.len ? t->topic : SLICE_NULL, t->topic_id};
	size_t at = names->mask ? fetch_key_hash(names->seed, &k, index) & names->mask : 0;

	while (names->places[at].p && !is_same(&names->places[at], t, index))
		at = names->mask ? (at + 1) & names->mask : at + 1;
	return &names->places[at];
}

/* Keeps of the topic's partitions those that were not named before; the others move up. */
static void unify_topic(struct names *names, topic *t)
{
	int32_t kept = 0;

	for (int32_t i = 0; i < t->partitions.n; i++) {
		const partition *p = &t->partitions.v[i];
		struct named *place = place_of(names, t, p->partition);
		if (place->p) {
			*place->p = *p;
			continue;
		}
		t->partitions.v[kept] = *p;
		*place = (struct named){t, &t->partitions.v[kept++]};
	}
	t->partitions.n = kept;
}

void fetch_unify(struct fetch *f, struct fetch_request *request)
{
	struct named few[FEW + 1] = {{NULL, NULL}};
	struct names names = {.places = few, .seed = fetch_sessions_seed(f->x->server->sessions)};

	for (int32_t i = 0; i < request->topics.n; i++)
		names.count += (size_t)request->topics.v[i].partitions.n;
	if (names.count <= 1)
		return;
	if (names.count > FEW) {
		size_t places = 4 * FEW;
		while (places < 2 * names.count)
			places *= 2;
		names.mask = places - 1;
		names.places = xcalloc(places, sizeof *names.places);
	}
	for (int32_t i = 0; i < request->topics.n; i++)
		unify_topic(&names, &request->topics.v[i]);
	if (names.places != few)
		free(names.places);
}

/* ip_counts.c - see ip_counts.h. */
#include "server/ip_counts.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/random.h>

#include "base/mem.h"

#define BUCKETS_FIRST 64

struct ip_count {
	struct ip_count *next;
	struct in6_addr ip;
	int count;
};

void ip_counts_fini(struct ip_counts *c)
{
	for (size_t i = 0; i < c->bucket_count; i++)
		while (c->buckets[i]) {
			struct ip_count *e = c->buckets[i];
			c->buckets[i] = e->next;
			free(e);
		}
	free(c->buckets);
	*c = (struct ip_counts){.count = 0};
}

struct in6_addr ip_of(const struct sockaddr_storage *a)
{
	struct in6_addr ip = {.s6_addr = {0}};

	if (a->ss_family == AF_INET6)
		return ((const struct sockaddr_in6 *)a)->sin6_addr;
	if (a->ss_family == AF_INET) {
		ip.s6_addr[10] = ip.s6_addr[11] = 0xff;
		memcpy(&ip.s6_addr[12], &((const struct sockaddr_in *)a)->sin_addr, 4);
	}
	return ip;
}

/* Seeded: a peer may have many addresses to choose from. */
static size_t bucket_of(const struct ip_counts *c, const struct in6_addr *ip)
{
	uint64_t half[2], h = c->seed;

	memcpy(half, ip, sizeof half);
	for (int i = 0; i < 2; i++) {
		h = (h ^ half[i]) * UINT64_C(0x9fb21c651e98df25);
		h ^= h >> 32;
	}
	return h & (c->bucket_count - 1);
}

static void grow(struct ip_counts *c)
{
	struct ip_counts wider = {.bucket_count =
					  c->bucket_count ? 2 * c->bucket_count : BUCKETS_FIRST,
				  .count = c->count,
				  .seed = c->seed};

	if (!c->bucket_count && getrandom(&wider.seed, sizeof wider.seed, GRND_NONBLOCK) < 0)
		wider.seed = (uintptr_t)c;
	wider.buckets = xcalloc(wider.bucket_count, sizeof(*wider.buckets));
	for (size_t i = 0; i < c->bucket_count; i++)
		while (c->buckets[i]) {
			struct ip_count *e = c->buckets[i];
			c->buckets[i] = e->next;
			struct ip_count **at = &wider.buckets[bucket_of(&wider, &e->ip)];
			e->next = *at;
			*at = e;
		}
	free(c->buckets);
	*c = wider;
}

static struct ip_count **find(struct ip_counts *c, const struct in6_addr *ip)
{
	struct ip_count **at = &c->buckets[bucket_of(c, ip)];

	while (*at && memcmp(&(*at)->ip, ip, sizeof *ip) != 0)
		at = &(*at)->next;
	return at;
}

int ip_counts_add(struct ip_counts *c, const struct in6_addr *ip)
{
	if (c->count >= c->bucket_count)
		grow(c);
	struct ip_count **at = find(c, ip);
	if (!*at) {
		*at = xcalloc(1, sizeof(**at));
		(*at)->ip = *ip;
		c->count++;
	}
	return ++(*at)->count;
}

void ip_counts_remove(struct ip_counts *c, const struct in6_addr *ip)
{
	struct ip_count **at = c->bucket_count ? find(c, ip) : NULL, *e = at ? *at : NULL;

	assert(e && "it was added");
	if (--e->count > 0)
		return;
	*at = e->next;
	c->count--;
	free(e);
}

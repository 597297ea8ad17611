/* ip_counts.h - how many connections each peer address has. IPv4 addresses count as those IPv6 addresses that stand for
 * them. Belongs to whoever locks it. */
#ifndef SERVER_IP_COUNTS_H
#define SERVER_IP_COUNTS_H

#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

struct ip_count;

/* Zero-initialise; release with ip_counts_fini. */
struct ip_counts {
	struct ip_count **buckets;
	size_t bucket_count, count;
	uint64_t seed;
};

void ip_counts_fini(struct ip_counts *c);
struct in6_addr ip_of(const struct sockaddr_storage *a); /* of what is no IP address: zeros */
/* One more; returns how many there are now. */
int ip_counts_add(struct ip_counts *c, const struct in6_addr *ip);
/* One less, of an address that was added. */
void ip_counts_remove(struct ip_counts *c, const struct in6_addr *ip);

#endif

/* record.h - how groups are written down: keys and values of CF_GROUPS, byte by byte in
 * docs/storage.md.
 *
 * A decoder takes any bytes: it refuses what is too short, too long or out of order, and allocates
 * no more than the bytes account for.
 */
#ifndef GROUPS_RECORD_H
#define GROUPS_RECORD_H

#include "groups/classic.h"
#include "groups/consumer.h"

enum group_record_type {
	GROUP_RECORD_CLASSIC = 'c',  /* a group of the classic protocol, with its members */
	GROUP_RECORD_CONSUMER = 'g', /* a group of the consumer protocol */
	GROUP_RECORD_MEMBER = 'm',   /* one of its members */
};

#define GROUP_RECORD_NAME_MAX 255

/* Appends the key; member: of GROUP_RECORD_MEMBER alone. */
void group_record_key(struct buf *key, enum group_record_type type, struct slice group,
		      struct slice member);
/* The slices point into the key. */
bool group_record_key_decode(struct slice key, enum group_record_type *type, struct slice *group,
			     struct slice *member);

void classic_record_encode(struct buf *value, const struct classic_record *r);
/* Arrays are made in the arena, slices point into the value. */
bool classic_record_decode(struct slice value, struct arena *arena, struct classic_record *r);

void consumer_group_record_encode(struct buf *value, const struct consumer_group_record *r);
bool consumer_group_record_decode(struct slice value, struct arena *arena,
				  struct consumer_group_record *r);

/* All of m but its id, which is in the key. */
void consumer_member_encode(struct buf *value, const struct consumer_member *m);
/* m is zeroed before, but for its id; its texts point into the value. On success release it with
 * consumer_member_record_fini. */
bool consumer_member_decode(struct slice value, struct consumer_member *m);
void consumer_member_record_fini(struct consumer_member *m);

#endif

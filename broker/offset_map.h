/* offset_map.h - of every key the offset of its last record, in a bounded piece of memory.
 *
 * Keys are remembered by 128 bits of a hash under a secret of this process, so that nobody can
 * choose two keys which it takes for one. 24 bytes a key, and a third more for room to search.
 *
 * Belongs to the thread that made it.
 */
#ifndef BROKER_OFFSET_MAP_H
#define BROKER_OFFSET_MAP_H

#include "base/mem.h"

struct offset_map;

/* For at most keys_max keys, or fewer when that would take more than bytes_max. */
struct offset_map *offset_map_new(uint64_t keys_max, size_t bytes_max);
void offset_map_free(struct offset_map *m); /* m may be NULL */
/* Whether so many keys more have room, whatever they are. */
bool offset_map_has_room(const struct offset_map *m, uint64_t keys);
/* There is room. Offsets may come in any order, the greatest holds. */
void offset_map_put(struct offset_map *m, struct slice key, int64_t offset);
/* -1: the key is not there. */
int64_t offset_map_get(const struct offset_map *m, struct slice key);

#endif

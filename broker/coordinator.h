/* coordinator.h - consumer groups over the wire: requests in, answers out, state in the store.
 *
 * It lives on the shard's thread. A request becomes a task; groups/ decides what it means; what
 * changed is put into the WriteBatch of the task's group, and the answer goes out when that is
 * written (group_after). So an answer never says what a crash could take back, and commits of
 * offsets have one order with everything else.
 *
 * After a restart groups, generations, members and their assignments are as they were written;
 * sessions and timeouts begin anew.
 */
#ifndef BROKER_COORDINATOR_H
#define BROKER_COORDINATOR_H

#include "broker/broker.h"

struct coordinator;
struct group;

/* Before the shard starts: from the store. ERR_CORRUPTION, ERR_INVALID_CONFIG, ... */
enum ks_err coordinator_open(struct broker *b, struct coordinator **out, struct ks_why *why);
/* Begins to watch deadlines. */
void coordinator_start(struct coordinator *c);
/* After the shard has ended; answers what is still parked. c may be NULL. */
void coordinator_free(struct coordinator *c, bool store_has_failed);

/* The shard's thread, for changes that do not come over the wire. */

/* Offsets of the group are being put; it is the group's. */
struct coordinated *coordinator_note_offsets(struct coordinator *c, const char *group);
/* ERR_NON_EMPTY_GROUP: the group has members, nobody else may change its offsets. */
enum ks_err coordinator_check_idle(struct coordinator *c, const char *group, struct ks_why *why);
/* Deletes the group with its offsets. ERR_GROUP_ID_NOT_FOUND, ERR_NON_EMPTY_GROUP */
enum ks_err coordinator_delete(struct coordinator *c, struct slice group, struct group *g);

#endif

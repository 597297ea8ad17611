/* subscription.h - the topics in what a member of a classic group sends as its metadata.
 *
 * To the coordinator the metadata of a protocol is opaque, with one exception: for groups of
 * protocol type "consumer" it looks which topics they read, so that their offsets are kept. Every
 * version of the embedded subscription begins as version 0 does: a version, then the topics.
 */
#ifndef GROUPS_SUBSCRIPTION_H
#define GROUPS_SUBSCRIPTION_H

#include "groups/names.h"

#define SUBSCRIPTION_TOPICS_MAX 65536

/* Appends the topics. false: these bytes are no subscription, or one to too many topics; some may
 * have been appended. */
bool subscription_topics(struct slice metadata, struct names *topics);

#endif

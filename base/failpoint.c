/* failpoint.c - see failpoint.h. */
#include "base/failpoint.h"

#include <assert.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const failpoint_names[] = {
	"commit-submit",   /* a task is about to hand its step to the shard */
	"shard-collect",   /* the shard took commands, nothing is in the WriteBatch yet */
	"shard-write",     /* the WriteBatch is complete, not written */
	"shard-written",   /* written and synced, the durable mark not yet moved */
	"shard-mark",      /* the durable mark has moved, still nothing published */
	"shard-reply",     /* published, no command answered */
	"commit-done",     /* a task has learned that its step is durable */
	"state-merge",     /* dirty keys of a store are about to be merged */
	"state-merged",    /* the merge is durable, its delta blocks are gone */
	"compact-write",   /* a piece of a cleaned log is about to be written */
	"compact-written", /* it is durable as far as it ever will be, the next is not begun */
	"half-commit",     /* between the two writes of at_least_once and at_most_once */
	NULL,
};

bool failpoints_armed;
static const char *armed_name;
static _Atomic(long) hits_left;

static bool is_known(const char *name)
{
	for (const char *const *n = failpoint_names; *n; n++)
		if (strcmp(*n, name) == 0)
			return true;
	return false;
}

void failpoint_init(void)
{
	static char name[64];
	const char *spec = getenv("KS_FAILPOINT");

	if (!spec || !*spec)
		return;
	snprintf(name, sizeof name, "%s", spec);
	char *colon = strchr(name, ':');
	atomic_store(&hits_left, colon ? atol(colon + 1) : 1);
	if (colon)
		*colon = 0;
	if (!is_known(name)) {
		fprintf(stderr, "KS_FAILPOINT: there is no failpoint \"%s\"\n", name);
		exit(2);
	}
	armed_name = name;
	failpoints_armed = true;
}

void failpoint_hit(const char *name)
{
	assert(is_known(name));
	if (strcmp(name, armed_name) == 0 && atomic_fetch_sub(&hits_left, 1) == 1)
		kill(getpid(), SIGKILL);
}

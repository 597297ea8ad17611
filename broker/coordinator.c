/* coordinator.c - see coordinator.h. */
#include "broker/coordinator.h"

#include <stdlib.h>
#include <string.h>

#include "broker/core.h"
#include "broker/shard.h"

/* A call on its way through the shard. */
struct job {
	struct task task;
	struct group_call *call;
};

void *coordinator_alloc(struct group_call *c, size_t count, size_t size)
{
	if (count == 0)
		return NULL;
	void *p = arena_alloc(c->arena, count * size);
	memset(p, 0, count * size);
	return p;
}

static void answer(void *arg, enum ks_err err)
{
	struct job *j = arg;

	j->call->err = err;
	j->call->done(j->call);
	free(j);
}

static void apply(struct task *t, struct group *g)
{
	struct job *j = (struct job *)t;

	coordinator_refuse(j->call, ERR_COORDINATOR_NOT_AVAILABLE);
	group_after(g, answer, j);
}

void broker_group_call(struct broker *b, struct group_call *c)
{
	struct job *j = xmalloc(sizeof *j);

	*j = (struct job){{apply}, c};
	shard_task(b->shard, &j->task, c->request_bytes + sizeof *j);
}

void broker_group_calls_end(struct broker *b)
{
	(void)b;
}

/* manifest_guard.c - see manifest_guard.h. */
#include "store/manifest_guard.h"

#include "base/mem.h"
#include "base/seeded.h"
#include "store/mark.h"

#include <pthread.h>
#include <stdlib.h>

struct manifest_guard {
	pthread_mutex_t mtx;
	struct mark *mark; /* NULL: nobody to tell */
	struct manifest_view view;
	struct manifest_ends ends;
};

struct manifest_guard *manifest_guard_new(void)
{
	struct manifest_guard *g = xcalloc(1, sizeof *g);

	pthread_mutex_init(&g->mtx, NULL);
	return g;
}

void manifest_guard_free(struct manifest_guard *g)
{
	if (!g)
		return;
	pthread_mutex_destroy(&g->mtx);
	free(g);
}

void manifest_guard_trust(struct manifest_guard *g, const struct manifest_view *view)
{
	pthread_mutex_lock(&g->mtx);
	g->view = *view;
	g->ends.named = g->ends.next = view->durable;
	pthread_mutex_unlock(&g->mtx);
}

/* Under mtx. */
static enum ks_err tell(struct manifest_guard *g, struct ks_why *why)
{
	if (!g->mark || KS_SEEDED_BUG(158))
		return ERR_NONE;
	return mark_manifests(g->mark, &g->ends, why);
}

enum ks_err manifest_guard_attach(struct manifest_guard *g, struct mark *mark, struct ks_why *why)
{
	pthread_mutex_lock(&g->mtx);
	g->mark = mark;
	enum ks_err err = tell(g, why);
	pthread_mutex_unlock(&g->mtx);
	return err;
}

enum ks_err manifest_guard_synced(struct manifest_guard *g, const struct manifest_end *end,
				  struct ks_why *why)
{
	pthread_mutex_lock(&g->mtx);
	if (end->number == g->ends.named.number)
		g->ends.named = *end;
	g->ends.next = *end;
	enum ks_err err = tell(g, why);
	pthread_mutex_unlock(&g->mtx);
	return err;
}

void manifest_guard_named(struct manifest_guard *g)
{
	pthread_mutex_lock(&g->mtx);
	g->ends.named = g->ends.next;
	pthread_mutex_unlock(&g->mtx);
}

uint64_t manifest_guard_readable(struct manifest_guard *g, uint64_t number)
{
	pthread_mutex_lock(&g->mtx);
	uint64_t bytes = UINT64_MAX;
	if (number != 0 && number == g->view.durable.number && !KS_SEEDED_BUG(159))
		bytes = g->view.readable;
	pthread_mutex_unlock(&g->mtx);
	return bytes;
}

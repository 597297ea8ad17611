/* admin.c - see admin.h. */
#include "server/admin.h"

#include <stdlib.h>

#include "server/server_impl.h"

#define ANSWER_BYTES_MAX ((size_t)256 << 20)

char *admin_text(struct exchange *x, struct slice s)
{
	if (!s.data || memchr(s.data, 0, s.len))
		return NULL;
	char *text = exchange_alloc(x, s.len + 1, 1);
	memcpy(text, s.data, s.len);
	return text;
}

struct slice admin_message(struct exchange *x, const struct ks_why *why)
{
	return why->text[0] ? exchange_printf(x, "%s", why->text) : SLICE_NULL;
}

struct wire_uuid admin_uuid(const struct topic *t)
{
	struct topic_uuid uuid = topic_uuid(t);
	struct wire_uuid out;

	memcpy(out.bytes, uuid.bytes, sizeof out.bytes);
	return out;
}

void admin_reply(struct exchange *x)
{
	if (broker_failure(server_broker(x->server)))
		server_store_failed(x);
	else
		exchange_reply(x);
}

bool admin_is_full(const struct exchange *x)
{
	return x->arena.total_bytes > ANSWER_BYTES_MAX;
}

struct place {
	struct slice name;
	int32_t at;
};

static int compare_places(const void *a, const void *b)
{
	const struct place *p = a, *q = b;
	int order = slice_compare(p->name, q->name);

	return order ? order : (p->at > q->at) - (p->at < q->at);
}

bool *admin_repeated(struct exchange *x, int32_t n,
		     struct slice (*name)(struct exchange *x, int32_t i))
{
	bool *repeated = exchange_alloc(x, (size_t)n + 1, sizeof *repeated);
	struct place *places = xcalloc((size_t)n + 1, sizeof *places);

	for (int32_t i = 0; i < n; i++)
		places[i] = (struct place){name(x, i), i};
	qsort(places, (size_t)n, sizeof *places, compare_places);
	for (int32_t i = 1; i < n; i++)
		repeated[places[i].at] =
			places[i].name.data && slice_equal(places[i].name, places[i - 1].name);
	free(places);
	return repeated;
}

int32_t *admin_node(struct exchange *x)
{
	int32_t *node = exchange_alloc(x, 1, sizeof *node);

	*node = server_options_of(x->server)->node_id;
	return node;
}

enum ks_err admin_check_replicas(struct exchange *x, const int32_t *ids, int32_t n,
				 struct ks_why *why)
{
	int32_t node = server_options_of(x->server)->node_id;

	if (n == 1 && ids[0] == node)
		return ERR_NONE;
	if (n == 0)
		return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT, "a partition needs a replica");
	return ks_fail(why, ERR_INVALID_REPLICA_ASSIGNMENT,
		       "the one node that can have a replica is %d", node);
}

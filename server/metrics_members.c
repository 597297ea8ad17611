/* metrics_members.c - how many members groups have: asked of the coordinator, as a client would.
 *
 * ListGroups names the groups; those that are not empty are then described, some at a time, so that the
 * answers need little memory.
 */
#include <pthread.h>

#include "server/metrics_text.h"
#include "server/prom.h"
#include "wire/api.h"

#define DESCRIBED_AT_ONCE 64

struct waiting {
	struct coordinator_call call;
	pthread_mutex_t mtx;
	pthread_cond_t ended;
	bool is_done; /* under mtx */
};

static void on_done(struct coordinator_call *c)
{
	struct waiting *w = c->cookie;

	pthread_mutex_lock(&w->mtx);
	w->is_done = true;
	pthread_cond_signal(&w->ended);
	pthread_mutex_unlock(&w->mtx); /* from here on w may be gone */
}

static bool ask(struct broker *b, const struct wire_api *api, const void *request, void *response,
		struct arena *arena)
{
	struct waiting w = {
		.call = {.api_key = api->key,
			 .version = api->version_max,
			 .request = request,
			 .response = response,
			 .arena = arena,
			 .client_id = slice_str("metrics"),
			 .client_host = "/127.0.0.1",
			 .done = on_done,
			 .cookie = &w},
		.mtx = PTHREAD_MUTEX_INITIALIZER,
		.ended = PTHREAD_COND_INITIALIZER,
	};

	wire_defaults(api->response(), response);
	broker_group_call(b, &w.call);
	pthread_mutex_lock(&w.mtx);
	while (!w.is_done)
		pthread_cond_wait(&w.ended, &w.mtx);
	pthread_mutex_unlock(&w.mtx);
	return !w.call.err;
}

static void put_members(const struct prom *p, struct slice group, int64_t members)
{
	struct prom_label label = {"consumergroup", group};
	prom_int(p, &label, 1, members);
}

static bool is_called(struct slice s, const char *name)
{
	return s.len == strlen(name) && !memcmp(s.data, name, s.len);
}

static bool has_none(const struct list_groups_response_group *g)
{
	return is_called(g->group_state, "Empty") || is_called(g->group_state, "Dead");
}

static void describe_classic(struct broker *b, const struct prom *p, struct slice *names, int32_t n)
{
	struct describe_groups_request request = {.groups = {names, n}};
	struct describe_groups_response response;
	struct arena arena = {0};

	if (ask(b, wire_api_find(API_describe_groups), &request, &response, &arena))
		for (int32_t i = 0; i < response.groups.n; i++)
			if (!response.groups.v[i].error_code)
				put_members(p, response.groups.v[i].group_id,
					    response.groups.v[i].members.n);
	arena_fini(&arena);
}

static void describe_consumer(struct broker *b, const struct prom *p, struct slice *names,
			      int32_t n)
{
	struct consumer_group_describe_request request = {.group_ids = {names, n}};
	struct consumer_group_describe_response response;
	struct arena arena = {0};

	if (ask(b, wire_api_find(API_consumer_group_describe), &request, &response, &arena))
		for (int32_t i = 0; i < response.groups.n; i++)
			if (!response.groups.v[i].error_code)
				put_members(p, response.groups.v[i].group_id,
					    response.groups.v[i].members.n);
	arena_fini(&arena);
}

/* The groups of one type that have members. */
static void describe_all(struct broker *b, const struct prom *p,
			 const struct list_groups_response *list, const char *type,
			 void (*describe)(struct broker *b, const struct prom *p,
					  struct slice *names, int32_t n))
{
	struct slice names[DESCRIBED_AT_ONCE];
	int32_t n = 0;

	for (int32_t i = 0; i < list->groups.n; i++) {
		const struct list_groups_response_group *g = &list->groups.v[i];
		if (has_none(g) || !is_called(g->group_type, type))
			continue;
		names[n++] = g->group_id;
		if (n == DESCRIBED_AT_ONCE) {
			describe(b, p, names, n);
			n = 0;
		}
	}
	if (n)
		describe(b, p, names, n);
}

void metrics_text_members(struct broker *b, struct buf *out)
{
	struct list_groups_request request = {{NULL, 0}, {NULL, 0}};
	struct list_groups_response list;
	struct arena arena = {0};
	struct prom p;

	prom_begin(&p, out, "kafka_consumergroup_members", PROM_GAUGE, "Members of a group.");
	if (ask(b, wire_api_find(API_list_groups), &request, &list, &arena) && !list.error_code) {
		for (int32_t i = 0; i < list.groups.n; i++)
			if (has_none(&list.groups.v[i]))
				put_members(&p, list.groups.v[i].group_id, 0);
		describe_all(b, &p, &list, "classic", describe_classic);
		describe_all(b, &p, &list, "consumer", describe_consumer);
	}
	arena_fini(&arena);
}

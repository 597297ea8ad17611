/* admin_rig.h - a server over a broker in memory, and a client that asks it: requests go through
 * the whole server, from bytes to bytes. */
#ifndef TESTS_UNIT_SERVER_ADMIN_RIG_H
#define TESTS_UNIT_SERVER_ADMIN_RIG_H

#include "client/connection.h"
#include "server/server.h"
#include "tests/check.h"

struct rig {
	struct broker *b;
	struct server *s;
	struct client_connection *c;
	struct client_reply reply; /* the last one */
};

static inline void rig_start(struct rig *r, bool auto_create)
{
	struct broker_options bo = {.store = {.create = true}, .default_partitions = 3};
	struct server_listener listener = {.host = "127.0.0.1"};
	struct server_options so = {.listeners = &listener,
				    .listener_count = 1,
				    .node_id = 7,
				    .rack = "attic",
				    .loops = 1,
				    .auto_create_topics = auto_create};
	struct client_options co = {.client_id = "test"};

	assert_ok(broker_open(&bo, &r->b, why));
	so.broker = r->b;
	assert_ok(server_start(&so, &r->s, why));
	assert_ok(client_connection_open("127.0.0.1", server_port(r->s, 0), &co, &r->c, why));
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	rig_start(r, true);
	*state = r;
	return 0;
}

static inline int rig_setup_strict(void **state)
{
	struct rig *r = calloc(1, sizeof *r);

	rig_start(r, false);
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	client_reply_fini(&r->reply);
	client_connection_close(r->c);
	server_stop(r->s, 10000);
	broker_close(r->b);
	free(r);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

/* The answer to a request of this very version, until the next one. */
static inline const void *rig_ask(struct rig *r, int16_t api_key, int16_t version,
				  const void *request)
{
	struct client_call call = {.api_key = api_key,
				   .version_min = version,
				   .version_end = (int16_t)(version + 1),
				   .request = request};

	client_reply_fini(&r->reply);
	assert_ok(client_connection_call(r->c, &call, &r->reply, why));
	return r->reply.message;
}

static inline void rig_topic(struct rig *r, const char *name, int32_t partitions)
{
	struct topic_spec spec = {.name = name, .partitions = partitions};

	assert_ok(broker_topic_create(r->b, &spec, why));
}

#endif

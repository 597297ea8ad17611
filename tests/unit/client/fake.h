/* fake.h - a broker that a test writes: it decodes requests, lets the test fill the answers, and
 * misbehaves on demand.
 *
 * One thread serves all connections. It answers ApiVersions with all we speak and Metadata with
 * itself as the only node, 1, unless the test's function does it.
 */
#ifndef TESTS_UNIT_CLIENT_FAKE_H
#define TESTS_UNIT_CLIENT_FAKE_H

#include "client/cluster.h"
#include "tests/check.h"

struct fake;

/* One request, and how it is answered. */
struct fake_call {
	struct fake *fake;
	const struct wire_api *api;
	int16_t version;
	const void *request;
	void *response; /* all defaults */
	struct arena *arena;
	/* The answer in these bytes instead, length included; data NULL: none. */
	struct slice raw;
	int32_t correlation_id; /* of the answer; may be changed */
};

enum fake_turn {
	FAKE_DEFAULT, /* the test has nothing to say: as above, or all defaults */
	FAKE_ANSWER,  /* response is filled */
	FAKE_RAW,
	FAKE_SILENT, /* no answer */
	FAKE_CLOSE,  /* the connection ends instead */
	FAKE_LAST,   /* FAKE_ANSWER, and then the connection ends */
};

/* On the fake's thread. */
typedef enum fake_turn fake_answer(struct fake_call *c, void *arg);

struct fake *fake_start(fake_answer *answer, void *arg);
/* Ends the thread: what it wrote can be read then. May be NULL. */
void fake_stop(struct fake *f);
uint16_t fake_port(const struct fake *f);
/* Requests of one kind so far. */
int fake_count(struct fake *f, int16_t api_key);
/* "127.0.0.1:port", as long as the fake lives. */
const char *fake_address(const struct fake *f);

/* A port of 127.0.0.1 that refuses, and that nobody else gets until the descriptor is closed. */
int dead_port_open(uint16_t *port);

/* Zeroed memory of the answer. */
void *fake_alloc(struct fake_call *c, size_t count, size_t size);
/* The topics of a Metadata answer: one, with n partitions, all led by node (-1: none). */
void fake_topic(struct fake_call *c, const char *name, int32_t n, int32_t node, enum ks_err err);

#endif

/* connection_room.c - answers as memory that all connections share.
 *
 * A connection may have 4 MiB of answers that its peer does not read; thousands of connections together may not. So what
 * lies there counts in the server's answer memory, beside the record batches of Fetch. It cannot wait for that
 * memory, as it is there already. What waits is the next request that would make more of it:
 *
 *   - one whose answer says much about the broker, however short the request: topics, groups, configurations;
 *   - any on a connection that has more than ANSWERS_FREE_BYTES to be read. Fetch asks for memory itself.
 *
 * It stands in the pool's line, with the requests of its connection behind it, and takes some memory beforehand, so that not all
 * of them begin at once. Who holds the memory meanwhile reads its answers, or is closed (upkeep.c).
 */
#include <assert.h>
#include <stdatomic.h>

#include "server/exchange_impl.h"
#include "server/loop_impl.h"
#include "server/server_impl.h"

#define ANSWERS_FREE_BYTES 16384         /* of a connection; not counted */
#define ROOM_BYTES         (1024 * 1024) /* taken beforehand; of a small pool a part */
#define ROOM_PART          4

static struct pool *pool_of(const struct connection *c)
{
	return &c->loop->server->answer_memory;
}

/* Those whose answers grow with what the broker has, not with the request. */
static bool says_much(int16_t api_key)
{
	switch (api_key) {
	case API_metadata:
	case API_offset_fetch:
	case API_describe_groups:
	case API_list_groups:
	case API_create_topics: /* with all their configurations */
	case API_describe_configs:
	case API_describe_log_dirs:
	case API_describe_producers:
	case API_consumer_group_describe:
	case API_describe_topic_partitions:
		return true;
	default:
		return false;
	}
}

static bool needs_room(const struct connection *c, const struct exchange *x)
{
	if (x->refusal || !x->api || x->api->key == API_fetch ||
	    atomic_load(&c->loop->server->is_stopping))
		return false;
	return c->counted_bytes || says_much(x->api->key);
}

bool connection_takes_room(struct connection *c, struct exchange *x)
{
	size_t bytes = pool_of(c)->bytes_max / ROOM_PART;

	if (c->is_short_of_room)
		return false;
	if (x->room_bytes || !needs_room(c, x))
		return true;
	if (bytes > ROOM_BYTES)
		bytes = ROOM_BYTES;
	if (pool_take(pool_of(c), &c->room, bytes)) {
		x->room_bytes = bytes;
		return true;
	}
	c->is_short_of_room = true;
	loop_watch_shortage(c->loop);
	return false;
}

/* The first that has not begun has stood in line. */
static void on_room(struct letter *l)
{
	struct connection *c =
		(struct connection *)((char *)l - offsetof(struct connection, room_letter));

	c->is_short_of_room = false;
	if (c->is_dead) {
		pool_give(pool_of(c), c->room.bytes);
		connection_freed_memory(c);
		return;
	}
	assert(c->unstarted);
	c->unstarted->room_bytes = c->room.bytes;
	connection_flush(c);
}

/* Under the pool's lock. */
static void on_granted(struct pool_waiter *w)
{
	struct connection *c = (struct connection *)((char *)w - offsetof(struct connection, room));
	loop_post(c->loop, &c->room_letter);
}

void connection_room_init(struct connection *c)
{
	c->room.granted = on_granted;
	c->room_letter.deliver = on_room;
}

void connection_leave_room(struct connection *c)
{
	if (c->is_short_of_room && pool_leave(pool_of(c), &c->room))
		c->is_short_of_room = false;
}

/* Without the batches of a Fetch, which has counted them itself. */
static size_t own_bytes(const struct exchange *x)
{
	return x->out.total > x->lent_bytes ? x->out.total - x->lent_bytes : 0;
}

static size_t countable_bytes(const struct connection *c)
{
	return c->own_bytes > ANSWERS_FREE_BYTES ? c->own_bytes : 0;
}

/* What was taken beforehand is the answer's: taken once more, the pool would have given out more than it has. */
static void pay(struct connection *c, struct exchange *x)
{
	size_t paid = countable_bytes(c) - c->counted_bytes;

	if (paid > x->room_bytes)
		paid = x->room_bytes;
	x->room_bytes -= paid;
	c->counted_bytes += paid;
}

/* Brings the pool up to date with what lies there. */
static void count(struct connection *c)
{
	size_t bytes = countable_bytes(c);

	if (bytes > c->counted_bytes)
		pool_take_anyway(pool_of(c), bytes - c->counted_bytes);
	else if (bytes < c->counted_bytes)
		pool_give(pool_of(c), c->counted_bytes - bytes);
	c->counted_bytes = bytes;
}

void connection_counts_answer(struct connection *c, struct exchange *x)
{
	c->own_bytes += own_bytes(x);
	pay(c, x);
	count(c);
	exchange_give_room(x);
}

void connection_forgets_answer(struct connection *c, const struct exchange *x)
{
	c->own_bytes -= own_bytes(x);
	count(c);
}

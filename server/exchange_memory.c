/* exchange_memory.c - work that needs memory of a pool first.
 *
 * handler -> takes it, or stands in line -> a worker -> keeps what it made -> the end of the exchange: given back
 *
 * While it stands in line it counts as offloaded: the later requests of its connection wait, so that the order stays.
 */
#include <assert.h>

#include "server/exchange_impl.h"
#include "server/server_impl.h"

static void hold(struct exchange *x, bool is_held)
{
	x->is_offloaded = is_held;
	x->connection->offloaded += is_held ? 1 : -1;
}

/* It has the memory, or its connection is dead. */
static void go_on(struct exchange *x)
{
	x->cancel = NULL;
	hold(x, false);
	exchange_offload_compute(x, x->work);
}

static void on_memory(struct letter *l)
{
	struct exchange *x =
		(struct exchange *)((char *)l - offsetof(struct exchange, memory_letter));

	x->memory_bytes = x->memory.bytes;
	go_on(x);
}

/* Under the pool's lock. */
static void on_granted(struct pool_waiter *w)
{
	struct exchange *x = (struct exchange *)((char *)w - offsetof(struct exchange, memory));
	loop_post(x->connection->loop, &x->memory_letter);
}

/* Who has merely stopped sending, or is asked to hurry, waits on; who is gone stands in nobody's way. */
static void on_cancel(struct exchange *x)
{
	x->cancel = on_cancel;
	if (x->connection->is_dead && pool_leave(x->memory_pool, &x->memory))
		go_on(x);
	/* Otherwise the letter is on its way, or will be. */
}

void exchange_offload_with(struct exchange *x, struct pool *pool, size_t bytes,
			   void (*work)(struct exchange *x))
{
	assert(!x->memory_pool && !x->cancel);
	x->memory_pool = pool;
	x->memory.granted = on_granted;
	x->memory_letter.deliver = on_memory;
	if (pool_take(pool, &x->memory, bytes)) {
		x->memory_bytes = bytes;
		exchange_offload_compute(x, work);
		return;
	}
	x->work = work;
	x->cancel = on_cancel;
	hold(x, true);
}

void exchange_keep_memory(struct exchange *x, size_t bytes)
{
	if (bytes > x->memory_bytes)
		pool_take_anyway(x->memory_pool, bytes - x->memory_bytes);
	else if (bytes < x->memory_bytes)
		pool_give(x->memory_pool, x->memory_bytes - bytes);
	x->memory_bytes = bytes;
}

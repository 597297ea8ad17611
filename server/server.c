/* server.c - start and stop; see server.h. */
#include "server/server_impl.h"

#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"

#define DEFAULT(field, value) ((field) ? (field) : (value))

/* Jobs that wait for the disk or the shard; those that compute. */
#define WORKERS_MAX           16
#define READERS_MAX           64 /* of consumers that catch up, kept between their requests */
#define READ_AHEAD_BYTES_MAX  (32 * 1024 * 1024) /* of all of them together */

/* File descriptors that connections leave to others, above all to the store, which fails when it cannot open a file. */
#define FILES_OF_OTHERS       640

/* As many connections as the process may have files for. */
static int most_connections(int wanted)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
		return wanted;
	rlim_t most = files.rlim_cur > 2 * FILES_OF_OTHERS ? files.rlim_cur - FILES_OF_OTHERS
							   : files.rlim_cur / 2;
	if ((rlim_t)wanted <= most)
		return wanted;
	log_warn("server", "max.connections is %d, not %d: the process may open %llu files",
		 (int)most, wanted, (unsigned long long)files.rlim_cur);
	return (int)most;
}

static struct server_options fill_in(const struct server_options *o)
{
	struct server_options all = *o;
	long cores = sysconf(_SC_NPROCESSORS_ONLN);

	all.node_id = o->is_node_zero ? 0 : DEFAULT(o->node_id, 1);
	all.listen_backlog = DEFAULT(o->listen_backlog, 4096);
	all.loops = DEFAULT(o->loops, cores > 0 ? (int)cores : 1);
	all.request_bytes_max = DEFAULT(o->request_bytes_max, 100 * 1024 * 1024);
	all.request_memory_bytes = DEFAULT(o->request_memory_bytes, 256 * 1024 * 1024);
	all.answer_memory_bytes = DEFAULT(o->answer_memory_bytes, 256 * 1024 * 1024);
	all.recompress_memory_bytes = DEFAULT(o->recompress_memory_bytes, 128 * 1024 * 1024);
	all.fetch_bytes_max = DEFAULT(o->fetch_bytes_max, 55 * 1024 * 1024);
	all.connections_max = most_connections(DEFAULT(o->connections_max, 16384));
	all.connections_per_ip_max = DEFAULT(o->connections_per_ip_max, INT_MAX);
	all.idle_ms = DEFAULT(o->idle_ms, 600000);
	all.first_request_ms = DEFAULT(o->first_request_ms, 10000);
	all.slow_ms = DEFAULT(o->slow_ms, 10000);
	all.fetch_sessions_max = o->has_no_sessions ? 0 : DEFAULT(o->fetch_sessions_max, 1000);
	return all;
}

static void free_server(struct server *s)
{
	for (int i = 0; i < s->loop_count; i++)
		loop_fini(&s->loops[i]);
	fetch_sessions_free(s->sessions);
	pool_fini(&s->request_memory);
	pool_fini(&s->answer_memory);
	pool_fini(&s->recompress_memory);
	ip_counts_fini(&s->ips);
	pthread_cond_destroy(&s->emptied);
	pthread_mutex_destroy(&s->mtx);
	free(s->loops);
	free(s->endpoints);
	free(s);
}

void server_unref(struct server *s)
{
	if (atomic_fetch_sub(&s->refs, 1) == 1)
		free_server(s);
}

static bool limits_ips(const struct server *s)
{
	return s->options.connections_per_ip_max < INT_MAX;
}

bool server_connection_opens(struct server *s, const struct in6_addr *ip)
{
	bool is_over = atomic_load(&s->connection_count) >= s->options.connections_max;

	if (is_over) {
		server_log(s, "a connection is refused: there are max.connections = %d",
			   s->options.connections_max);
		return false;
	}
	pthread_mutex_lock(&s->mtx);
	if (limits_ips(s) && ip_counts_add(&s->ips, ip) > s->options.connections_per_ip_max) {
		ip_counts_remove(&s->ips, ip);
		is_over = true;
	}
	pthread_mutex_unlock(&s->mtx);
	if (is_over) {
		server_log(s,
			   "a connection is refused: its address has max.connections.per.ip = %d",
			   s->options.connections_per_ip_max);
		return false;
	}
	atomic_fetch_add(&s->connection_count, 1);
	atomic_fetch_add(&s->refs, 1);
	return true;
}

void server_connection_closed(struct server *s, const struct in6_addr *ip)
{
	pthread_mutex_lock(&s->mtx);
	if (limits_ips(s))
		ip_counts_remove(&s->ips, ip);
	if (atomic_fetch_sub(&s->connection_count, 1) == 1)
		pthread_cond_broadcast(&s->emptied);
	pthread_mutex_unlock(&s->mtx);
}

/* The callback is called under the lock, so that it is not under way when server_stop returns. */
static void tell_failure(struct server *s)
{
	pthread_mutex_lock(&s->mtx);
	if (!s->tells_nothing && s->options.failed)
		s->options.failed(s->options.failed_cookie);
	s->tells_nothing = true;
	pthread_mutex_unlock(&s->mtx);
}

void server_store_failed(struct exchange *x)
{
	tell_failure(x->server);
	/* The last thing: x may hold the last reference to the server. */
	exchange_abort(x, "the store has failed");
}

static struct server *new_server(const struct server_options *options)
{
	struct server *s = xcalloc(1, sizeof *s);
	pthread_condattr_t attr;

	s->options = fill_in(options);
	atomic_init(&s->refs, 1);
	s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&s->emptied, &attr);
	pthread_condattr_destroy(&attr);
	pthread_mutex_init(&s->mtx, NULL);
	pool_init(&s->request_memory, s->options.request_memory_bytes);
	pool_init(&s->answer_memory, s->options.answer_memory_bytes);
	pool_init(&s->recompress_memory, s->options.recompress_memory_bytes);
	s->sessions = fetch_sessions_new(s->options.fetch_sessions_max);
	server_init_upkeep(s);
	s->workers = workers_new(WORKERS_MAX);
	s->readers = readers_new(READERS_MAX, READ_AHEAD_BYTES_MAX, s->workers);
	s->compute_workers = workers_new(s->options.loops);
	s->endpoints = xcalloc(options->listener_count, sizeof *s->endpoints);
	s->loops = xcalloc((size_t)s->options.loops, sizeof *s->loops);
	return s;
}

static enum ks_err start_all(struct server *s, struct ks_why *why)
{
	enum ks_err err = broker_cluster_id(s->options.broker, s->cluster_id, why);

	for (size_t i = 0; i < s->options.listener_count && !err; i++) {
		s->endpoints[i].server = s;
		s->endpoints[i].listener = s->options.listeners[i];
		err = endpoint_bind(&s->endpoints[i], why);
	}
	for (int i = 0; i < s->options.loops && !err; i++) {
		err = loop_start(&s->loops[i], s, why);
		s->loop_count += !err;
	}
	for (size_t i = 0; i < s->options.listener_count && !err; i++)
		loop_call(&s->loops[0], endpoint_listen, &s->endpoints[i]);
	return err;
}

enum ks_err server_start(const struct server_options *options, struct server **out,
			 struct ks_why *why)
{
	struct server *s = new_server(options);
	enum ks_err err = start_all(s, why);

	if (err) {
		server_stop(s, 0);
		return err;
	}
	*out = s;
	return ERR_NONE;
}

static void drain(struct loop *l, void *unused)
{
	struct connections *lists[] = {&l->fresh, &l->known};

	(void)unused;
	for (size_t i = 0; i < 2; i++) {
		struct connection *c = TAILQ_FIRST(lists[i]), *next;
		for (; c; c = next) {
			next = TAILQ_NEXT(c, in_loop); /* this one may be closed at once */
			connection_drain(c);
		}
	}
}

static void wait_until_empty(struct server *s, int timeout_ms)
{
	const struct timespec until = clock_deadline(timeout_ms);

	pthread_mutex_lock(&s->mtx);
	while (atomic_load(&s->connection_count) > 0)
		if (pthread_cond_timedwait(&s->emptied, &s->mtx, &until))
			break;
	pthread_mutex_unlock(&s->mtx);
}

void server_stop(struct server *s, int timeout_ms)
{
	if (!s)
		return;
	atomic_store(&s->is_stopping, true);
	for (size_t i = 0; i < s->options.listener_count; i++)
		if (s->loop_count)
			loop_call(&s->loops[0], endpoint_close, &s->endpoints[i]);
		else
			endpoint_close(NULL, &s->endpoints[i]);
	for (int i = 0; i < s->loop_count; i++)
		loop_call(&s->loops[i], drain, NULL);
	if (s->loop_count)
		broker_group_calls_end(s->options.broker);
	wait_until_empty(s, timeout_ms);
	for (int i = 0; i < s->loop_count; i++)
		loop_stop(&s->loops[i]);
	workers_free(s->workers);
	workers_free(s->compute_workers);
	readers_free(s->readers); /* before the broker is closed */
	if (s->spare_fd >= 0)
		close(s->spare_fd);
	pthread_mutex_lock(&s->mtx);
	s->tells_nothing = true;
	pthread_mutex_unlock(&s->mtx);
	server_unref(s);
}

uint16_t server_port(const struct server *s, size_t listener)
{
	return s->endpoints[listener].port;
}

struct broker *server_broker(struct server *s)
{
	return s->options.broker;
}

const struct server_options *server_options_of(const struct server *s)
{
	return &s->options;
}

const char *server_cluster_id(const struct server *s)
{
	return s->cluster_id;
}

/* watch.c - see watch.h. */
#include "lua/watch.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "lua/state.h"

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* One thread's. Its handler runs on the thread itself, so plain reads and writes in an order suffice. */
struct watch {
	struct sandbox *volatile running;
	volatile sig_atomic_t is_ticking;
	volatile sig_atomic_t was_busy; /* a call began since the last tick */
	bool is_made;
	timer_t timer;
};

static _Thread_local struct watch watch;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t key; /* its destructor deletes the timer of a thread that ends */
static bool is_ready;

static void set_timer(struct watch *w, long ms)
{
	const struct timespec every = {.tv_nsec = ms * 1000000};
	const struct itimerspec spec = {.it_interval = every, .it_value = every};

	w->is_ticking = ms > 0;
	timer_settime(w->timer, 0, &spec, NULL);
}

static void on_tick(int signal)
{
	int saved = errno;
	struct sandbox *s = watch.running;

	(void)signal;
	if (s)
		sandbox_arm(s);
	else if (watch.is_ticking && !watch.was_busy)
		set_timer(&watch, 0);
	watch.was_busy = 0;
	errno = saved;
}

static void delete_timer(void *self)
{
	struct watch *w = self;

	w->running = NULL;
	w->is_made = false;
	w->is_ticking = false;
	timer_delete(w->timer);
}

static void prepare(void)
{
	struct sigaction action = {.sa_handler = on_tick, .sa_flags = SA_RESTART}, old;

	if (sigaction(SIGURG, NULL, &old) ||
	    (old.sa_handler != SIG_DFL && old.sa_handler != SIG_IGN) ||
	    pthread_key_create(&key, delete_timer))
		return;
	sigemptyset(&action.sa_mask);
	is_ready = sigaction(SIGURG, &action, NULL) == 0;
}

static bool make_timer(struct watch *w)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGURG};

	pthread_once(&once, prepare);
	event.sigev_notify_thread_id = gettid();
	if (!is_ready || timer_create(CLOCK_MONOTONIC, &event, &w->timer))
		return false;
	if (pthread_setspecific(key, w)) {
		timer_delete(w->timer);
		return false;
	}
	w->is_made = true;
	return true;
}

bool watch_begin(struct sandbox *s)
{
	struct watch *w = &watch;

	if (!w->is_made && !make_timer(w))
		return false;
	w->was_busy = 1;
	w->running = s; /* before the look: a tick in between leaves the timer alone */
	if (!w->is_ticking)
		set_timer(w, WATCH_TICK_MS);
	return true;
}

void watch_end(struct sandbox *before)
{
	watch.running = before;
}

struct sandbox *watch_running(void)
{
	return watch.running;
}

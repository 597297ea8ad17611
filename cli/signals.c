/* signals.c - see signals.h. */
#include "cli/signals.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

static atomic_bool stop_asked;
static int stop_fd = -1;
static sigset_t taken;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
/* shared, under mutex */
static void (*wake_callback)(void *cookie);
static void *wake_cookie;

static void *take_signals(void *unused)
{
	uint64_t one = 1;
	int number;

	(void)unused;
	sigwait(&taken, &number);
	atomic_store(&stop_asked, true);
	if (write(stop_fd, &one, sizeof one) < 0)
		abort(); /* an eventfd takes 2^64 - 2 of them */
	pthread_mutex_lock(&mutex);
	if (wake_callback)
		wake_callback(wake_cookie);
	pthread_mutex_unlock(&mutex);
	sigwait(&taken, &number);
	_exit(1);
}

void signals_start(void)
{
	pthread_t thread;

	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	sigemptyset(&taken);
	sigaddset(&taken, SIGTERM);
	sigaddset(&taken, SIGINT);
	pthread_sigmask(SIG_BLOCK, &taken, NULL);
	if (stop_fd < 0 || pthread_create(&thread, NULL, take_signals, NULL) != 0)
		abort();
	pthread_detach(thread);
}

void signals_on_stop(void (*wake)(void *cookie), void *cookie)
{
	pthread_mutex_lock(&mutex);
	wake_callback = wake;
	wake_cookie = cookie;
	if (wake && signals_stop_asked())
		wake(cookie);
	pthread_mutex_unlock(&mutex);
}

bool signals_stop_asked(void)
{
	return atomic_load(&stop_asked);
}

int signals_fd(void)
{
	return stop_fd;
}

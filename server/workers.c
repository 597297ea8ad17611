/* workers.c - see workers.h. */
#include "server/workers.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct workers {
	/* immutable */
	int threads_max;

	/* shared, under mtx */
	pthread_mutex_t mtx;
	pthread_cond_t arrived;
	struct job *first, **last;
	pthread_t *threads;
	int thread_count, free_count;
	int queued;
	bool is_stopping;
};

static _Thread_local bool is_worker;

static void *run(void *arg)
{
	struct workers *w = arg;

	is_worker = true;
	pthread_mutex_lock(&w->mtx);
	for (;;) {
		while (!w->first && !w->is_stopping) {
			w->free_count++;
			pthread_cond_wait(&w->arrived, &w->mtx);
			w->free_count--;
		}
		struct job *j = w->first;
		if (!j)
			break;
		w->first = j->next;
		if (!w->first)
			w->last = &w->first;
		w->queued--;
		pthread_mutex_unlock(&w->mtx);
		j->run(j);
		pthread_mutex_lock(&w->mtx);
	}
	pthread_mutex_unlock(&w->mtx);
	return NULL;
}

struct workers *workers_new(int threads_max)
{
	struct workers *w = xcalloc(1, sizeof *w);

	w->threads_max = threads_max;
	w->threads = xcalloc((size_t)threads_max, sizeof *w->threads);
	w->last = &w->first;
	pthread_mutex_init(&w->mtx, NULL);
	pthread_cond_init(&w->arrived, NULL);
	return w;
}

void workers_free(struct workers *w)
{
	if (!w)
		return;
	pthread_mutex_lock(&w->mtx);
	w->is_stopping = true;
	pthread_cond_broadcast(&w->arrived);
	pthread_mutex_unlock(&w->mtx);
	for (int i = 0; i < w->thread_count; i++)
		pthread_join(w->threads[i], NULL);
	pthread_cond_destroy(&w->arrived);
	pthread_mutex_destroy(&w->mtx);
	free(w->threads);
	free(w);
}

/* Under mtx. One that cannot be made is no harm while there is another. */
static void add_thread(struct workers *w)
{
	if (!pthread_create(&w->threads[w->thread_count], NULL, run, w))
		w->thread_count++;
	else if (!w->thread_count)
		abort();
}

void workers_submit(struct workers *w, struct job *j)
{
	pthread_mutex_lock(&w->mtx);
	j->next = NULL;
	*w->last = j;
	w->last = &j->next;
	w->queued++;
	/* Those that were signalled and have not run yet count as free: hence the comparison. */
	if (w->queued > w->free_count && w->thread_count < w->threads_max)
		add_thread(w);
	pthread_cond_signal(&w->arrived);
	pthread_mutex_unlock(&w->mtx);
}

bool workers_is_current(void)
{
	return is_worker;
}

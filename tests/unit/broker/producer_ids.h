/* producer_ids.h - the producer ids of idempotent producers, asked for and waited for. */
#ifndef TESTS_UNIT_BROKER_PRODUCER_IDS_H
#define TESTS_UNIT_BROKER_PRODUCER_IDS_H

#include <pthread.h>

#include "rig.h"

struct producer_id_asked {
	struct producer_id_call call;
	pthread_mutex_t mtx;
	pthread_cond_t changed;
	bool is_done;
	enum ks_err err;
};

static inline void producer_id_answered(struct producer_id_call *c, enum ks_err err)
{
	struct producer_id_asked *a = c->cookie;

	pthread_mutex_lock(&a->mtx);
	a->err = err;
	a->is_done = true;
	pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->mtx);
}

/* The pair that it has, -1 and -1 for none, is replaced by the one that it gets. */
static inline enum ks_err producer_id_ask(struct broker *b, int64_t *id, int16_t *epoch)
{
	struct producer_id_asked a = {.call = {.done = producer_id_answered,
					       .producer_id = *id,
					       .producer_epoch = *epoch}};

	a.call.cookie = &a;
	pthread_mutex_init(&a.mtx, NULL);
	pthread_cond_init(&a.changed, NULL);
	broker_producer_id(b, &a.call);
	pthread_mutex_lock(&a.mtx);
	while (!a.is_done)
		pthread_cond_wait(&a.changed, &a.mtx);
	pthread_mutex_unlock(&a.mtx);
	*id = a.call.producer_id;
	*epoch = a.call.producer_epoch;
	return a.err;
}

#endif

/* perf_log_load.c - see perf_log.h: the batches, and the appender. */
#include <stdlib.h>

#include "cli/perf_log.h"
#include "wire/batch.h"

/* --- the batches --- */

static void fill_random(uint8_t *p, size_t len, uint64_t *state)
{
	for (size_t i = 0; i < len; i++) {
		*state ^= *state << 13;
		*state ^= *state >> 7;
		*state ^= *state << 17;
		p[i] = (uint8_t)(*state >> 32);
	}
}

static struct frame *make_batch(struct log_load *l, size_t batch_bytes, uint64_t *state)
{
	struct buf out = {0}, scratch = {0};
	uint8_t *value = xmalloc((size_t)l->record_bytes);
	struct batch_writer w;
	int64_t count = 0;

	batch_writer_begin(&w, &out);
	do {
		fill_random(value, (size_t)l->record_bytes, state);
		batch_writer_append(&w, INPUT_TIME_BASE, SLICE_NULL,
				    slice_of(value, (size_t)l->record_bytes), SLICE_NULL, 0);
		count++;
	} while (l->records_per_batch
			 ? count < l->records_per_batch
			 : batch_writer_size(&w) + (size_t)l->record_bytes + 16 <= batch_bytes);
	batch_writer_finish(&w, CODEC_NONE, &scratch);
	l->records_per_batch = count;
	l->batch_bytes = out.len;
	struct frame *f = frame_copy(buf_slice(&out));
	free(value);
	buf_fini(&scratch);
	buf_fini(&out);
	return f;
}

void log_load_init(struct log_load *l, int32_t record_bytes, size_t batch_bytes)
{
	uint64_t state = UINT64_C(88172645463325252);

	memset(l, 0, sizeof *l);
	l->record_bytes = record_bytes;
	for (size_t i = 0; i < LOG_TEMPLATES; i++)
		l->templates[i] = make_batch(l, batch_bytes, &state);
}

void log_load_fini(struct log_load *l)
{
	for (size_t i = 0; i < LOG_TEMPLATES; i++)
		frame_unref(l->templates[i]);
}

/* --- the appender --- */

struct log_slot {
	struct append append;
	int64_t due_ns;
	struct log_slot *next; /* unused */
};

void log_appender_init(struct log_appender *a, struct broker *b, const struct log_load *l,
		       enum acks acks, size_t window_bytes)
{
	memset(a, 0, sizeof *a);
	a->broker = b;
	a->topic = broker_topic_find(b, LOG_TOPIC);
	a->load = l;
	a->acks = acks;
	a->slot_count = window_bytes / l->batch_bytes + 1;
	a->slots = xcalloc(a->slot_count, sizeof *a->slots);
	for (size_t i = 0; i < a->slot_count; i++) {
		a->slots[i].next = a->unused;
		a->unused = &a->slots[i];
	}
	pthread_mutex_init(&a->mtx, NULL);
	pthread_cond_init(&a->changed, NULL);
}

static void answered(struct append *append, enum ks_err err)
{
	struct log_appender *a = append->cookie;
	struct log_slot *s = (struct log_slot *)append;
	int64_t now = perf_now_ns();

	pthread_mutex_lock(&a->mtx);
	histogram_record(&a->ns, now - s->due_ns);
	s->next = a->unused;
	a->unused = s;
	a->under_way--;
	if (!a->err)
		a->err = err;
	/* Answers come by the group: one call for many, not a switch of threads for each. */
	if (a->under_way <= a->slot_count / 2)
		pthread_cond_signal(&a->changed);
	pthread_mutex_unlock(&a->mtx);
}

static struct log_slot *take_slot(struct log_appender *a)
{
	pthread_mutex_lock(&a->mtx);
	while (!a->unused)
		pthread_cond_wait(&a->changed, &a->mtx);
	struct log_slot *s = a->unused;
	a->unused = s->next;
	a->under_way++;
	pthread_mutex_unlock(&a->mtx);
	return s;
}

void log_append(struct log_appender *a, int64_t first, int64_t count, int64_t begin_ns,
		int64_t interval_ns)
{
	const struct log_load *l = a->load;

	for (int64_t k = first; k < first + count; k++) {
		int64_t due = begin_ns + (k - first) * interval_ns;
		if (interval_ns)
			perf_sleep_until(due);
		const struct frame *f = l->templates[k % LOG_TEMPLATES];
		struct log_slot *s = take_slot(a);
		s->append = (struct append){
			.partition = topic_partition(a->topic, (int32_t)(k % l->partitions)),
			.frame = frame_copy(slice_of(f->data, f->len)),
			.acks = a->acks,
			.done = answered,
			.cookie = a,
		};
		s->due_ns = interval_ns ? due : perf_now_ns();
		broker_append(a->broker, &s->append);
	}
}

enum ks_err log_appender_finish(struct log_appender *a, struct ks_why *why)
{
	pthread_mutex_lock(&a->mtx);
	while (a->under_way)
		pthread_cond_wait(&a->changed, &a->mtx);
	enum ks_err err = a->err;
	pthread_mutex_unlock(&a->mtx);
	if (err)
		ks_fail(why, err, "an append failed: %s", ks_err_text(err));
	free(a->slots);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->mtx);
	return err;
}

/* Compaction against a model: random logs, restarts, kills at every step, readers and writers
 * beside it. */
#include "compaction_rig.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/failpoint.h"

#define DELETE_RETENTION_MS 1000

/* A record as it was sent; its place in the model is its offset. */
struct sent {
	int key;
	int64_t timestamp;
	bool is_tombstone;
	int64_t horizon_ms; /* of a tombstone, once a cleaning has passed it; else 0 */
};

struct model {
	struct rig *r;
	struct partition *p;
	uint64_t random;
	struct sent *sent;
	int64_t count;
	int64_t cap;
	int keys;
	size_t pad_max;
};

static uint64_t draw(struct model *m, uint64_t below)
{
	m->random ^= m->random << 13;
	m->random ^= m->random >> 7;
	m->random ^= m->random << 17;
	return m->random % below;
}

static void model_add(struct model *m, const struct sent *s)
{
	if (m->count == m->cap) {
		m->cap = m->cap ? 2 * m->cap : 256;
		m->sent = xrealloc(m->sent, (size_t)m->cap * sizeof *m->sent);
	}
	m->sent[m->count++] = *s;
}

/* The value says which offset the record has; the rest is padding. */
static void append_some(struct model *m)
{
	struct buf out = {0}, scratch = {0}, value = {0};
	struct batch_writer w;
	int count = 1 + (int)draw(m, 12);
	size_t pad = draw(m, 4) ? draw(m, 200) : draw(m, m->pad_max);

	batch_writer_begin(&w, &out);
	for (int i = 0; i < count; i++) {
		struct sent s = {
			.key = (int)draw(m, (uint64_t)m->keys),
			.timestamp = m->r->now_ms - (int64_t)draw(m, 50),
			.is_tombstone = draw(m, 6) == 0,
		};
		if (draw(m, 50) == 0)
			s.timestamp += 500;
		char key[32];
		snprintf(key, sizeof key, "key-%d", s.key);
		buf_clear(&value);
		buf_printf(&value, "%lld", (long long)m->count);
		for (size_t j = 0; j < pad; j++)
			buf_append_u8(&value, '.');
		batch_writer_append(&w, s.timestamp, slice_str(key),
				    s.is_tombstone ? SLICE_NULL : buf_slice(&value), SLICE_NULL, 0);
		model_add(m, &s);
	}
	batch_writer_finish(&w, draw(m, 3) ? CODEC_NONE : (enum codec)draw(m, CODEC_COUNT),
			    &scratch);
	assert_ok(broker_append_wait(m->r->b, m->p, frame_copy(buf_slice(&out)), ACKS_LEADER, NULL,
				     why));
	buf_fini(&out);
	buf_fini(&scratch);
	buf_fini(&value);
	m->r->now_ms += 1 + (int64_t)draw(m, 20);
}

/* is_there[offset]: the log has the record, and it is as it was sent. */
static void read_present(struct model *m, bool *is_there)
{
	struct reader *reader = reader_new(m->p);
	struct buf scratch = {0};
	int64_t next = partition_log_start_offset(m->p);
	struct record_iter it;
	struct record record;
	struct chunk c;
	struct batch b;

	while (next < m->count) {
		assert_ok(reader_read(reader, next, 1 + draw(m, 100000), &c, why));
		for (size_t at = 0; at < c.bytes.len; at += b.bytes.len) {
			assert_int_equal(
				batch_verify(slice_of(c.bytes.data + at, c.bytes.len - at), &b), 0);
			assert_int_equal(record_iter_init(&it, &b, 1 << 20, &scratch), 0);
			while (record_iter_next(&it, &record) == 1) {
				const struct sent *s = &m->sent[record.offset];
				char key[32];
				snprintf(key, sizeof key, "key-%d", s->key);
				assert_slice(record.key, key);
				assert_int_equal(record.timestamp, s->timestamp);
				assert_int_equal(!record.value.data, s->is_tombstone);
				if (record.value.data)
					assert_int_equal(
						strtoll((const char *)record.value.data, NULL, 10),
						record.offset);
				is_there[record.offset] = true;
			}
			assert_true(batch_last_offset(&b) >= next);
			next = batch_last_offset(&b) + 1;
		}
		chunk_fini(&c);
	}
	buf_fini(&scratch);
	reader_free(reader);
}

static void check_timestamps(struct model *m, const bool *is_there)
{
	int64_t start = partition_log_start_offset(m->p), offset, timestamp, max = -1;

	for (int i = 0; i < 10; i++) {
		int64_t wanted = m->sent[draw(m, (uint64_t)m->count)].timestamp;
		int64_t o = start;
		while (o < m->count && !(is_there[o] && m->sent[o].timestamp >= wanted))
			o++;
		enum ks_err err = partition_offset_for_timestamp(m->p, wanted, &offset, &timestamp);
		assert_int_equal(err, o < m->count ? ERR_NONE : ERR_NOT_FOUND);
		if (!err)
			assert_int_equal(offset, o);
	}
	for (int64_t o = start; o < m->count; o++)
		if (is_there[o] && (max < 0 || m->sent[o].timestamp > m->sent[max].timestamp))
			max = o;
	enum ks_err err = partition_max_timestamp_offset(m->p, &offset, &timestamp);
	assert_int_equal(err, max < 0 ? ERR_NOT_FOUND : ERR_NONE);
	if (!err) {
		assert_int_equal(offset, max);
		assert_int_equal(timestamp, m->sent[max].timestamp);
	}
}

/* What must hold at any time, wherever a cleaning was interrupted. */
static void check(struct model *m)
{
	int64_t start = partition_log_start_offset(m->p);
	int64_t clean = partition_cleaned(m->p).offset;
	bool *is_there = xcalloc((size_t)m->count + 1, sizeof *is_there);
	int64_t *last = xmalloc((size_t)m->keys * sizeof *last);
	int64_t *last_clean = xmalloc((size_t)m->keys * sizeof *last_clean);

	assert_int_equal(partition_high_watermark(m->p), m->count);
	read_present(m, is_there);
	for (int k = 0; k < m->keys; k++)
		last[k] = last_clean[k] = -1;
	for (int64_t o = start; o < m->count; o++) {
		last[m->sent[o].key] = o;
		if (o < clean)
			last_clean[m->sent[o].key] = o;
	}
	for (int64_t o = start; o < m->count; o++) {
		const struct sent *s = &m->sent[o];
		if (is_there[o] && o < clean)
			assert_int_equal(o, last_clean[s->key]);
		bool may_be_gone =
			s->is_tombstone && s->horizon_ms && m->r->now_ms >= s->horizon_ms;
		if (!is_there[o] && !may_be_gone && o >= clean && o == last[s->key])
			fail_msg("the last record of key %d, at %lld, is gone", s->key,
				 (long long)o);
		if (!is_there[o] && !may_be_gone && o == last[s->key])
			fail_msg("key %d lost its record at %lld", s->key, (long long)o);
	}
	check_timestamps(m, is_there);
	free(is_there);
	free(last);
	free(last_clean);
}

/* A cleaning that ran to its end at this time. */
static void note_cleaned(struct model *m, int64_t clean)
{
	for (int64_t o = 0; o < clean; o++)
		if (m->sent[o].is_tombstone && !m->sent[o].horizon_ms)
			m->sent[o].horizon_ms = m->r->now_ms + DELETE_RETENTION_MS;
}

/* After it nothing is left below but last records, and tombstones whose time has not come. */
static void check_cleaned(struct model *m)
{
	int64_t clean = partition_cleaned(m->p).offset;
	bool *is_there = xcalloc((size_t)m->count + 1, sizeof *is_there);

	read_present(m, is_there);
	for (int64_t o = partition_log_start_offset(m->p); o < clean; o++) {
		const struct sent *s = &m->sent[o];
		if (is_there[o] && s->is_tombstone && s->horizon_ms)
			assert_true(m->r->now_ms < s->horizon_ms);
	}
	free(is_there);
	assert_about_stored(m->r, m->p);
}

static void clean_all(struct model *m)
{
	size_t cleaned;

	assert_ok(compaction_run(m->r->b, &cleaned, why));
	if (!cleaned)
		return;
	/* Older tombstones first: those had their time. */
	check_cleaned(m);
	note_cleaned(m, partition_cleaned(m->p).offset);
}

static void model_open(struct model *m, struct rig *r, uint64_t seed)
{
	*m = (struct model){.r = r, .random = seed * 0x9e3779b97f4a7c15u + 1, .pad_max = 20000};
	m->keys = 3 + (int)draw(m, 200);
	broker_close(r->b);
	r->options.tail_bytes = 1; /* everything is read from the store */
	if (draw(m, 3) == 0)
		r->options.compaction_map_bytes = 1;
	rig_open(r);
	m->p = make_compacted(
		r,
		draw(m, 2)
			? "cleanup.policy=compact,delete "
			  "max.message.bytes=4000000 delete.retention.ms=1000 segment.bytes=300000"
			: "max.message.bytes=4000000 delete.retention.ms=1000 "
			  "cleanup.policy=compact,"
			  "delete min.cleanable.dirty.ratio=0.3");
}

static void model_reopen(struct model *m)
{
	uint64_t size = partition_size_bytes(m->p);
	int64_t start = partition_log_start_offset(m->p);

	if (!m->r->dir)
		return;
	rig_reopen(m->r);
	m->p = rig_partition(m->r, "t");
	assert_int_equal(partition_size_bytes(m->p), size);
	assert_int_equal(partition_log_start_offset(m->p), start);
}

static void do_something(struct model *m)
{
	int64_t start = partition_log_start_offset(m->p), trimmed;

	switch (draw(m, 40)) {
	case 0:
		model_reopen(m);
		break;
	case 1:
		assert_ok(
			broker_trim(m->r->b, m->p,
				    start + (int64_t)draw(m, (uint64_t)(m->count - start) / 4 + 1),
				    &trimmed, why));
		break;
	case 2:
		m->r->now_ms += 600;
		break;
	case 3:
	case 4:
	case 5:
		clean_all(m);
		check(m);
		break;
	default:
		append_some(m);
	}
}

static void random_logs_keep_what_they_must(void **state)
{
	struct rig *r = *state;
	const char *seed_text = getenv("KS_SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 10) : 1;
	struct model m;

	for (int round = 0; round < 5; round++, seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		model_open(&m, r, seed);
		append_some(&m);
		for (int i = 0; i < 400; i++)
			do_something(&m);
		model_reopen(&m);
		clean_all(&m);
		check(&m);
		free(m.sent);
		assert_ok(broker_topic_delete(r->b, "t", why));
	}
}

/* --- killed at every step --- */

/* What the child does: a new process, because RocksDB has threads that a fork does not bring
 * along. */
static int clean_until_killed(char *dir, const char *now_ms)
{
	struct rig *r = rig_new(false);

	r->dir = dir;
	r->options.dir = dir;
	r->now_ms = strtoll(now_ms, NULL, 10);
	failpoint_init();
	rig_open(r);
	_exit(compaction_run(r->b, NULL, NULL) ? 1 : 0);
}

/* Whether it was killed. */
static bool kill_a_cleaning(struct model *m, const char *failpoint)
{
	int status;

	broker_close(m->r->b);
	m->r->b = NULL;
	char now[32];
	snprintf(now, sizeof now, "%lld", (long long)m->r->now_ms);
	setenv("KS_FAILPOINT", failpoint, 1);
	pid_t child = fork();
	if (child == 0) {
		execl("/proc/self/exe", "test_compaction_model", "clean", m->r->dir, now,
		      (char *)NULL);
		_exit(127);
	}
	unsetenv("KS_FAILPOINT");
	assert_int_equal(waitpid(child, &status, 0), child);
	bool was_killed = WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
	assert_true(was_killed || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	rig_open(m->r);
	m->p = rig_partition(m->r, "t");
	return was_killed;
}

static void a_cleaning_killed_anywhere_leaves_a_whole_log(void **state)
{
	struct rig *r = *state;
	const char *const points[] = {"compact-write", "shard-write", "shard-written",
				      "compact-written"};
	struct model m;
	int kills = 0;
	uint64_t appended = 0;

	model_open(&m, r, 77);
	m.keys = 400;
	for (int round = 0; round < 4; round++) {
		m.pad_max = 100000;
		for (int i = 0; i < 100; i++)
			append_some(&m);
		/* All but the last batch is old enough, and behind the index. */
		m.pad_max = 100;
		append_some(&m);
		m.r->now_ms += 1000;
		append_some(&m);
		bool was_killed = true;
		for (int n = 1; was_killed; n++) {
			char point[64];
			snprintf(point, sizeof point, "%s:%d", points[(round + n) % 4], 1 + n / 4);
			appended = atomic_load(&m.p->end_position);
			was_killed = kill_a_cleaning(&m, point);
			assert_int_equal(atomic_load(&m.p->end_position), appended);
			kills += was_killed;
			check(&m);
			/* What is appended goes on where it was. */
			append_some(&m);
			appended = atomic_load(&m.p->end_position);
			model_reopen(&m);
			assert_int_equal(atomic_load(&m.p->end_position), appended);
		}
		note_cleaned(&m, partition_cleaned(m.p).offset);
		clean_all(&m);
		check(&m);
	}
	print_message("%d kills\n", kills);
	assert_true(kills >= 20);
	free(m.sent);
}

/* --- with others beside it --- */

#define WRITES 1500
#define ROUNDS 3

struct beside {
	struct rig *r;
	struct partition *p;
	_Atomic(int) cleanings, readings, trims; /* that found something to do */
	int written;
	_Atomic(bool) is_over;
};

/* Whether all have done their part beside the others. */
static bool all_had_their_turn(struct beside *x)
{
	return atomic_load(&x->cleanings) >= ROUNDS && atomic_load(&x->readings) >= ROUNDS &&
	       atomic_load(&x->trims) >= ROUNDS;
}

/* The record with the number n has the offset n. */
static void *write_some(void *arg)
{
	struct beside *x = arg;
	char record[32];

	for (int i = 0; i < WRITES || !all_had_their_turn(x); i++) {
		snprintf(record, sizeof record, "%c%d", 'a' + i % 7, i);
		if (broker_append_wait(
			    x->r->b, x->p,
			    keyed_frame(record, (size_t)(i % 50) * 40, START_MS + i, CODEC_NONE),
			    ACKS_LEADER, NULL, NULL))
			abort();
		atomic_fetch_add(&x->r->now_ms, 1);
		x->written++;
	}
	atomic_store(&x->is_over, true);
	return NULL;
}

static int64_t check_numbers(const struct chunk *c, int64_t next)
{
	struct buf scratch = {0};
	struct record_iter it;
	struct record record;
	struct batch b;

	for (size_t at = 0; at < c->bytes.len; at += b.bytes.len) {
		if (batch_verify(slice_of(c->bytes.data + at, c->bytes.len - at), &b) ||
		    batch_last_offset(&b) < next || record_iter_init(&it, &b, 1 << 20, &scratch))
			abort();
		while (record_iter_next(&it, &record) == 1)
			if (strtoll((const char *)record.value.data, NULL, 10) != record.offset)
				abort();
		next = batch_last_offset(&b) + 1;
	}
	buf_fini(&scratch);
	return next;
}

/* From the start to the end, again and again. */
static void *read_some(void *arg)
{
	struct beside *x = arg;
	struct reader *reader = reader_new(x->p);
	struct chunk c;

	while (!atomic_load(&x->is_over)) {
		int64_t first = partition_log_start_offset(x->p), next = first;
		enum ks_err err = ERR_NONE;
		while (!err) {
			struct ks_why why = {""};
			err = reader_read(reader, next, 5000, &c, &why);
			if (err && err != ERR_EMPTY && err != ERR_OFFSET_OUT_OF_RANGE) {
				fprintf(stderr, "%s %s\n", ks_err_name(err), why.text);
				abort();
			}
			if (err)
				break;
			next = check_numbers(&c, next);
			chunk_fini(&c);
		}
		atomic_fetch_add(&x->readings, next > first);
	}
	reader_free(reader);
	return NULL;
}

static void *trim_some(void *arg)
{
	struct beside *x = arg;
	int64_t start, before = 0;

	while (!atomic_load(&x->is_over)) {
		int64_t to = partition_high_watermark(x->p) / 2;
		if (broker_trim(x->r->b, x->p, to, &start, NULL) || start < to ||
		    retention_run(x->r->b, NULL, NULL))
			abort();
		atomic_fetch_add(&x->trims, start > before);
		before = start;
	}
	return NULL;
}

static void writers_readers_and_trims_go_on_beside_it(void **state)
{
	struct rig *r = *state;
	struct beside x = {.r = r};
	pthread_t threads[4];
	size_t cleaned;
	char last[32];

	broker_close(r->b);
	r->options.tail_bytes = 50000;
	rig_open(r);
	x.p = make_compacted(r, "cleanup.policy=compact,delete retention.ms=100000000");
	pthread_create(&threads[0], NULL, write_some, &x);
	pthread_create(&threads[1], NULL, read_some, &x);
	pthread_create(&threads[2], NULL, read_some, &x);
	pthread_create(&threads[3], NULL, trim_some, &x);
	while (!atomic_load(&x.is_over)) {
		assert_ok(compaction_run(r->b, &cleaned, why));
		atomic_fetch_add(&x.cleanings, cleaned > 0);
	}
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	/* What was cleaned while it was trimmed may count as a little more or less than it is. */
	assert_int_equal(compact(r) <= 1, 1);
	struct partition *p = r->dir ? without_tail(r) : x.p;
	struct buf shown = {0};
	show_log(p, partition_log_start_offset(p), &shown, NULL);
	snprintf(last, sizeof last, "%d@%d", x.written - 1, x.written - 1);
	assert_non_null(strstr(buf_cstr(&shown), last));
	buf_fini(&shown);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "clean") == 0)
		return clean_until_killed(argv[2], argv[3]);
	const struct CMUnitTest tests[] = {
		BOTH(random_logs_keep_what_they_must),
		ROCKS(a_cleaning_killed_anywhere_leaves_a_whole_log),
		BOTH(writers_readers_and_trims_go_on_beside_it),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

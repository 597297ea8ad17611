/* When the store fails, nothing more is acknowledged and nothing of the lost write is seen. */
#include "failing_disk.h"

/* The memory store with another commit: the seam is the table of functions. */
static _Atomic(bool) fails, fails_after_writing, fails_to_mark;

static enum ks_err commit(struct store *s, struct store_write *w, bool sync, struct ks_why *why)
{
	if (fails)
		return ks_fail(why, ERR_IO, "the disk is on fire");
	enum ks_err err = disk.real->commit(s, w, sync, why);
	if (fails_after_writing)
		return ks_fail(why, ERR_IO, "the disk did not answer");
	return err;
}

static enum ks_err mark(struct store *s, struct ks_why *why)
{
	(void)s;
	return fails_to_mark ? ks_fail(why, ERR_NO_SPACE, "no room for the mark") : ERR_NONE;
}

static int setup(void **state)
{
	struct rig *r = rig_new(false);
	struct store *s = store_open_memory();

	disk_intercept(s, commit);
	disk.ops.mark = mark;
	fails = fails_after_writing = fails_to_mark = false;
	assert_int_equal(broker_open_store(&r->options, s, &r->b, NULL), 0);
	*state = r;
	return 0;
}

static void assert_dead(struct rig *r, struct partition *p, enum ks_err err, const char *sentence)
{
	struct ks_why why = {""};
	struct job_session *s;

	assert_string_equal(broker_failure(r->b), sentence);
	assert_int_equal(partition_high_watermark(p), 1);
	/* The store may be well again: it makes no difference. */
	fails = fails_after_writing = fails_to_mark = false;
	assert_int_equal(
		broker_append_wait(r->b, p, rig_frame(1, 0, 0, 0), ACKS_LEADER, NULL, &why), err);
	assert_non_null(strstr(why.text, sentence));
	assert_int_equal(broker_topic_create(r->b, &(struct topic_spec){.name = "u"}, &why), err);
	assert_string_equal(why.text, sentence);
	assert_int_equal(broker_job_open(r->b, "job", "me", &s, &why), err);
	assert_int_equal(broker_group_commit(r->b, "g", &(struct group_offset){p, 0, 0}, 1, &why),
			 err);
	assert_int_equal(retention_run(r->b, NULL, NULL),
			 ERR_NONE); /* nothing to do, nothing sent */
	assert_null(broker_topic_find(r->b, "u"));
	assert_int_equal(partition_high_watermark(p), 1);
	assert_int_equal(rig_number_at(p, 0), 5); /* reads go on */
}

static void a_failing_write_is_never_acknowledged(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	rig_append(r, p, 1, 5);
	assert_null(broker_failure(r->b));
	fails = true;
	assert_int_equal(broker_append_wait(r->b, p, rig_frame(1, 0, 0, 0), ACKS_ALL, NULL, NULL),
			 ERR_IO);
	assert_dead(r, p, ERR_IO, "the disk is on fire");
}

static void a_write_of_unknown_outcome_is_not_shown(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	rig_append(r, p, 1, 5);
	fails_after_writing = true;
	assert_int_equal(broker_append_wait(r->b, p, rig_frame(1, 0, 0, 0), ACKS_ALL, NULL, NULL),
			 ERR_IO);
	assert_dead(r, p, ERR_IO, "the disk did not answer");
}

static void a_failing_mark_counts_as_a_failing_write(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);

	rig_append(r, p, 1, 5);
	fails_to_mark = true;
	assert_int_equal(broker_append_wait(r->b, p, rig_frame(1, 0, 0, 0), ACKS_ALL, NULL, NULL),
			 ERR_NO_SPACE);
	assert_dead(r, p, ERR_NO_SPACE, "no room for the mark");
}

static void a_job_commit_fails_with_the_store(void **state)
{
	struct rig *r = *state;
	struct partition *p = topic_partition(rig_topic(r, "t", 1), 0);
	struct job_session *s, *t;

	rig_append(r, p, 1, 5);
	assert_ok(broker_job_open(r->b, "job", "me", &s, why));
	fails = true;
	struct ks_why sentence;
	assert_int_equal(broker_job_open(r->b, "job", "you", &t, &sentence), ERR_IO);
	assert_string_equal(sentence.text, "the disk is on fire");
	job_session_fenced_by(s, &sentence);
	assert_string_equal(sentence.text, "epoch 1 is the newest: nobody has taken over");
	broker_job_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_failing_write_is_never_acknowledged, setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(a_write_of_unknown_outcome_is_not_shown, setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(a_failing_mark_counts_as_a_failing_write, setup,
						rig_teardown),
		cmocka_unit_test_setup_teardown(a_job_commit_fails_with_the_store, setup,
						rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

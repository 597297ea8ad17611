/* Transactions over eight partitions and the offsets of a group, killed at every step of the write of every one of their
 * requests: what is found afterwards is there as a whole or not at all, and what was answered is there. */
#include "txn_calls.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"

#define PARTITIONS 8

static bool is_commit(int number)
{
	return number % 3 != 0;
}

/* The next transaction: its number in every partition and as the group's offset. */
static void run_one(struct rig *r, struct txn_client *c, int number)
{
	for (int i = 0; i < PARTITIONS; i++)
		txn_write(c, partition_at(r, "t", i), 1, number);
	if (!c->is_v2)
		assert_code(txn_add_group(c, "g"), ERR_NONE);
	assert_code(txn_offset_commit(
			    c, (struct txn_offset){.group = "g", .topic = "t", .offset = number}),
		    ERR_NONE);
	assert_code(txn_finish(c, is_commit(number)), ERR_NONE);
}

/* The child's part: says each number that was answered. */
static _Noreturn void run_until_killed(const char *dir, int pipe, int first)
{
	struct rig *r = rig_new(false);
	char path[512];

	snprintf(path, sizeof path, "%s", dir);
	r->dir = path;
	r->options.dir = path;
	failpoint_init();
	rig_open(r);
	struct txn_client *c = txn_client_new(r, "a", first % 2);
	for (int number = first; number < first + 100; number++) {
		run_one(r, c, number);
		if (write(pipe, &number, sizeof number) != sizeof number)
			_exit(3);
	}
	_exit(6); /* the failpoint was not reached */
}

/* Returns the last number that was answered. */
static int run_and_kill(struct rig *r, const char *failpoint, int last)
{
	int ends[2], status, number;

	assert_int_equal(pipe(ends), 0);
	fflush(NULL);
	pid_t child = fork();
	if (child == 0) {
		/* A fresh image: RocksDB's threads do not survive a fork. */
		char fd[16], first[16];
		snprintf(fd, sizeof fd, "%d", ends[1]);
		snprintf(first, sizeof first, "%d", last + 1);
		close(ends[0]);
		setenv("KS_FAILPOINT", failpoint, 1);
		execl("/proc/self/exe", "test_transactions_crash", r->dir, fd, first, (char *)NULL);
		_exit(7);
	}
	close(ends[1]);
	while (read(ends[0], &number, sizeof number) == sizeof number) {
		assert_int_equal(number, last + 1);
		last = number;
	}
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
		fail_msg("%s: the process was not killed, status %x", failpoint, (unsigned)status);
	return last;
}

/* Which of the numbers 1 to last + 1 are seen in a partition: those that were committed, and of the last one perhaps. Whether
 * that one is. */
static bool check_partition(struct partition *p, int last)
{
	struct view *v = read_committed(p, 0, 1 << 20);
	size_t n = 0;

	for (int number = 1; number <= last; number++)
		if (is_commit(number)) {
			assert_true(n < v->count);
			assert_int_equal(v->numbers[n++], number);
		}
	bool has_next = n < v->count;
	if (has_next) {
		assert_true(is_commit(last + 1));
		assert_int_equal(v->numbers[n++], last + 1);
	}
	assert_int_equal(n, v->count);
	free(v);
	return has_next;
}

/* Returns the last number that is decided. */
static int check(struct rig *r, int last)
{
	bool has_next = check_partition(partition_at(r, "t", 0), last);
	int committed = has_next ? last + 1 : last;

	for (int i = 1; i < PARTITIONS; i++)
		assert_int_equal(check_partition(partition_at(r, "t", i), last), has_next);
	/* A new instance: what was open is aborted, and nobody waits for it any more. */
	free(txn_client_new(r, "a", true));
	for (int i = 0; i < PARTITIONS; i++) {
		struct partition *p = partition_at(r, "t", i);
		assert_int_equal(partition_last_stable_offset(p), partition_high_watermark(p));
		assert_int_equal(check_partition(p, last), has_next);
	}
	while (committed > 0 && !is_commit(committed))
		committed--;
	struct fetched f = fetch(r, (struct fetching){.group = "g", .topic = "t"});
	assert_int_equal(f.code, 0);
	assert_int_equal(f.offset, committed ? committed : -1);
	return has_next ? last + 1 : last;
}

static void kill_at(struct rig *r, const char *step, int from, int to, int by, int *last)
{
	char failpoint[64];

	for (int n = from; n <= to; n += by) {
		snprintf(failpoint, sizeof failpoint, "%s:%d", step, n);
		broker_close(r->b);
		r->b = NULL;
		*last = run_and_kill(r, failpoint, *last);
		rig_open(r);
		*last = check(r, *last);
	}
}

static void test_a4_killed_at_any_step_a_transaction_is_there_as_a_whole_or_not_at_all(void **state)
{
	struct rig *r = *state;
	int last = 0;

	rig_topic(r, "t", PARTITIONS);
	/* The first write is InitProducerId's; a transaction of version 2 has ten, one of version 1 nineteen. */
	kill_at(r, "shard-write", 2, 41, 3, &last);
	kill_at(r, "shard-written", 3, 42, 3, &last);
	kill_at(r, "shard-mark", 11, 31, 5, &last);
	kill_at(r, "shard-reply", 12, 32, 5, &last);
	assert_true(last > 20);
}

int main(int argc, char **argv)
{
	if (argc == 4)
		run_until_killed(argv[1], atoi(argv[2]), atoi(argv[3]));
	const struct CMUnitTest tests[] = {
		ROCKS(test_a4_killed_at_any_step_a_transaction_is_there_as_a_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* failing_disk.h - a store whose commits fail at a chosen moment, with or without having taken effect. */
#ifndef TESTS_UNIT_BROKER_FAILING_DISK_H
#define TESTS_UNIT_BROKER_FAILING_DISK_H

#include <assert.h>

#include "rig.h"
#include "store/store_impl.h"

static struct {
	const struct store_ops *real; /* of the store that was opened last */
	struct store_ops ops;
	_Atomic(int) commits_left; /* until one fails; -1: none will */
	_Atomic(bool) is_written;  /* and yet it took effect */
} disk;

/* Every commit to s goes to this function, which may pass it on to disk.real. One store at a time. */
static inline void disk_intercept(struct store *s,
				  enum ks_err (*commit)(struct store *s, struct store_write *w,
							bool sync, struct ks_why *why))
{
	disk.real = s->ops;
	disk.ops = *s->ops;
	disk.ops.commit = commit;
	s->ops = &disk.ops;
}

static inline enum ks_err disk_commit(struct store *s, struct store_write *w, bool sync,
				      struct ks_why *why)
{
	if (disk.commits_left < 0 || disk.commits_left-- > 0)
		return disk.real->commit(s, w, sync, why);
	if (disk.is_written) {
		enum ks_err err = disk.real->commit(s, w, sync, why);
		assert(!err);
	}
	return ks_fail(why, ERR_IO, "the disk is on fire");
}

/* One commit fails, after n good ones; n -1: none. */
static inline void disk_fail_after(int n, bool takes_effect)
{
	disk.is_written = takes_effect;
	disk.commits_left = n;
}

/* The broker again, on the same directory, with disk_fail_after() in force. RocksDB only. */
static inline void rig_reopen_failing(struct rig *r, int n, bool takes_effect)
{
	struct store *s;

	broker_close(r->b);
	assert_ok(store_open(r->dir, &r->options.store, &s, why));
	disk_intercept(s, disk_commit);
	disk_fail_after(n, takes_effect);
	assert_ok(broker_open_store(&r->options, s, &r->b, why));
}

#endif

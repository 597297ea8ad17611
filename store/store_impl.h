/* store_impl.h - what an implementation of store.h provides; included by store/ alone.
 *
 * store.c keeps what both implementations share: argument checks, the counters of a write, and the
 * rule that a store which failed to commit stays failed. An implementation embeds these structs as
 * its first member and fills in the table.
 */
#ifndef STORE_STORE_IMPL_H
#define STORE_STORE_IMPL_H

#include "store/store.h"

struct store_ops {
	void (*close)(struct store *s);

	struct store_write *(*write_new)(struct store *s);
	void (*write_free)(struct store_write *w);
	void (*write_clear)(struct store_write *w);
	void (*putv)(struct store_write *w, enum store_cf cf, struct slice key,
		     const struct slice *parts, size_t count);
	void (*delete_key)(struct store_write *w, enum store_cf cf, struct slice key);
	void (*delete_range)(struct store_write *w, enum store_cf cf, struct slice from,
			     struct slice to);
	/* Need not clear w. */
	enum ks_err (*commit)(struct store *s, struct store_write *w, bool sync,
			      struct ks_why *why);
	uint64_t (*sequence)(struct store *s);
	enum ks_err (*mark)(struct store *s, struct ks_why *why);

	enum ks_err (*get)(struct store *s, enum store_cf cf, struct slice key, struct buf *out);
	struct store_iter *(*iter_new)(struct store *s, enum store_cf cf, struct slice lower,
				       struct slice upper);
	void (*iter_free)(struct store_iter *it);
	void (*iter_seek)(struct store_iter *it, struct slice key);
	void (*iter_seek_for_prev)(struct store_iter *it, struct slice key);
	void (*iter_first)(struct store_iter *it);
	void (*iter_last)(struct store_iter *it);
	bool (*iter_valid)(const struct store_iter *it);
	void (*iter_next)(struct store_iter *it);
	void (*iter_prev)(struct store_iter *it);
	struct slice (*iter_key)(const struct store_iter *it);
	struct slice (*iter_value)(const struct store_iter *it);
	enum ks_err (*iter_error)(const struct store_iter *it, struct ks_why *why);

	enum ks_err (*flush)(struct store *s, struct ks_why *why);
	enum ks_err (*reclaim)(struct store *s, enum store_cf cf, struct ks_why *why);
	void (*stats)(struct store *s, struct store_stats *out);
};

struct store {
	const struct store_ops *ops; /* immutable after open */

	/* owner: the committing thread */
	enum ks_err failed; /* the first error of a commit or of the mark; ERR_NONE while well */
	struct ks_why failed_why;
};

struct store_write {
	const struct store_ops *ops;
	size_t bytes; /* keys and values */
	size_t count; /* puts, deletes and range deletes */
};

struct store_iter {
	const struct store_ops *ops;
	struct store *store;
};

#endif

/* coordinator_offsets.c - OffsetCommit, OffsetFetch, OffsetDelete; see coordinator_impl.h.
 *
 * Offsets are in CF_OFFSETS by the partition's number; a topic that was deleted and made anew has
 * none.
 */
#include "base/seeded.h"
#include "broker/coordinator_impl.h"
#include "broker/offsets.h"
#include "broker/transactions_offsets.h"

static int16_t code(enum ks_err err)
{
	return (int16_t)err;
}

struct partition *coordinator_partition(struct topic *t, int32_t index)
{
	return t && index >= 0 && index < topic_partition_count(t) ? topic_partition(t, index)
								   : NULL;
}

/* --- OffsetCommit --- */

/* No group of either protocol, at most offsets. */
static enum ks_err check_simple(bool exists, const struct offset_commit_request *q, int16_t version)
{
	if (q->generation_id_or_member_epoch < 0)
		return ERR_NONE;
	if (exists)
		return ERR_UNKNOWN_MEMBER_ID;
	return version >= 9 ? ERR_GROUP_ID_NOT_FOUND : ERR_ILLEGAL_GENERATION;
}

static enum ks_err check_consumer(const struct consumer_group *g,
				  const struct offset_commit_request *q, int16_t version)
{
	if (q->generation_id_or_member_epoch < 0 && g->members.count == 0)
		return ERR_NONE;
	enum ks_err err = consumer_check_epoch(g, q->member_id, q->generation_id_or_member_epoch);
	/* Members of this protocol have clients that know version 9. */
	return err != ERR_UNKNOWN_MEMBER_ID && version < 9 ? ERR_UNSUPPORTED_VERSION : err;
}

/* Before version 3 of TxnOffsetCommit there is no saying who commits. */
static bool says_who(const struct txn_offset_commit_request *q)
{
	return q->generation_id >= 0 || q->member_id.len > 0 || q->group_instance_id.data;
}

enum ks_err coordinator_check_txn_commit(const struct coordinated *x,
					 const struct txn_offset_commit_request *q)
{
	if (x && x->classic)
		return classic_check_txn_commit(x->classic, q->generation_id, q->member_id,
						q->group_instance_id.len > 0 ? q->group_instance_id
									     : SLICE_NULL);
	if (!x || !x->consumer)
		return q->generation_id < 0 ? ERR_NONE : ERR_ILLEGAL_GENERATION;
	if (!says_who(q) || (q->generation_id < 0 && x->consumer->members.count == 0))
		return ERR_NONE;
	enum ks_err err = consumer_check_epoch(x->consumer, q->member_id, q->generation_id);
	return err == ERR_STALE_MEMBER_EPOCH ? ERR_ILLEGAL_GENERATION : err;
}

static enum ks_err check_commit(struct step *s, const struct coordinated *x,
				const struct offset_commit_request *q, int16_t version)
{
	enum ks_err err = coordinator_check_name(q->group_id);

	if (err)
		return err;
	if (x && x->consumer)
		return check_consumer(x->consumer, q, version);
	if (!x || !x->classic)
		return check_simple(x, q, version);
	return classic_check_commit(
		x->classic, q->generation_id_or_member_epoch, q->member_id,
		q->group_instance_id.len > 0 ? q->group_instance_id : SLICE_NULL, &s->at);
}

/* -1: by the broker's retention. Who asks for more time than there is gets all of it. */
static int64_t expire_time(int64_t now_ms, int64_t retention_ms)
{
	if (retention_ms < 0)
		return -1;
	return retention_ms < INT64_MAX - now_ms ? now_ms + retention_ms : INT64_MAX;
}

static enum ks_err commit_one(struct step *s, struct coordinated *x, struct topic *t,
			      const struct offset_commit_request *q, int16_t version,
			      const struct offset_commit_request_partition *from)
{
	struct partition *p = coordinator_partition(t, from->partition_index);

	if (!p)
		return version >= 10 && !t ? ERR_UNKNOWN_TOPIC_ID : ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (from->committed_metadata.len > (size_t)s->c->options.offset_metadata_max_bytes)
		return ERR_OFFSET_METADATA_TOO_LARGE;
	struct stored_offset o = {
		.offset = from->committed_offset,
		.commit_time_ms = s->g->now_ms,
		.expire_time_ms = expire_time(s->g->now_ms, q->retention_time_ms),
		.leader_epoch = from->committed_leader_epoch,
		.metadata = from->committed_metadata,
	};
	offset_put_stored(s->g->write, &s->c->key, x->name, p->id, &o);
	pending_offsets_overtake(x, p->id, s->g);
	s->g->needs_sync = true;
	x->has_offsets = true;
	return ERR_NONE;
}

static void commit(struct step *s, struct coordinator_call *call, struct coordinated *x)
{
	const struct offset_commit_request *q = call->request;
	struct offset_commit_response *r = call->response;
	struct broker *b = s->c->broker;

	COORDINATOR_MAKE(call, r->topics, q->topics.n);
	for (int32_t i = 0; i < q->topics.n; i++) {
		const struct offset_commit_request_topic *from = &q->topics.v[i];
		struct offset_commit_response_topic *to = &r->topics.v[i];
		struct topic *t = call->version >= 10 ? topic_of_uuid(b, &from->topic_id)
						      : topic_of_name(b, from->name);
		to->name = from->name;
		to->topic_id = from->topic_id;
		COORDINATOR_MAKE(call, to->partitions, from->partitions.n);
		for (int32_t k = 0; k < from->partitions.n; k++)
			to->partitions.v[k] = (struct offset_commit_response_partition){
				from->partitions.v[k].partition_index,
				code(commit_one(s, x, t, q, call->version,
						&from->partitions.v[k]))};
	}
}

void coordinator_commit(struct step *s, struct coordinator_call *call)
{
	const struct offset_commit_request *q = call->request;
	struct coordinated *x = coordinator_find(s->c, q->group_id);
	enum ks_err err = check_commit(s, x, q, call->version);

	if (!err && !x) {
		x = coordinator_add(s->c, q->group_id);
		err = x ? ERR_NONE : ERR_GROUP_MAX_SIZE_REACHED;
	}
	if (err) {
		coordinator_refuse(call, err);
		return;
	}
	commit(s, call, x);
	coordinator_count(s->c, x);
}

/* --- OffsetFetch --- */

/* One fetch of one group: what it asks for and where the answer goes. */
struct fetch {
	struct coordinator *c;
	struct coordinator_call *call;
	struct slice group; /* null: one that cannot be */
	/* Of which offsets of open transactions are to be told; NULL: none are there, or it does not matter. */
	const struct coordinated *unstable;
	struct buf key, value;
};

/* ERR_NOT_FOUND: nothing was committed. The metadata is the call's. */
static enum ks_err read_offset(struct fetch *f, const struct partition *p, struct stored_offset *o)
{
	if (!f->group.data)
		return ERR_NOT_FOUND;
	if (f->unstable && pending_offsets_has(f->unstable, p->id))
		return ERR_UNSTABLE_OFFSET_COMMIT;
	enum ks_err err = offset_read(f->c->broker->store, f->group, p->id, &f->key, &f->value, o);
	if (!err)
		o->metadata = coordinator_copy(f->call, o->metadata);
	return err;
}

static void fetch_one(struct fetch *f, struct topic *t, int32_t index,
		      struct offset_fetch_response_group_topic_partition *to)
{
	const struct partition *p = coordinator_partition(t, index);
	struct stored_offset o;
	enum ks_err err = p ? read_offset(f, p, &o) : ERR_NOT_FOUND;

	*to = (struct offset_fetch_response_group_topic_partition){
		.partition_index = index,
		.committed_offset = err ? -1 : o.offset,
		.committed_leader_epoch = err ? -1 : o.leader_epoch,
		.metadata = err ? slice_str("") : o.metadata,
	};
	if (err == ERR_UNSTABLE_OFFSET_COMMIT)
		to->error_code = code(err);
	else if (err && err != ERR_NOT_FOUND)
		to->error_code = code(ERR_UNKNOWN_SERVER_ERROR);
	else if (!t && f->call->version >= 10)
		to->error_code = code(ERR_UNKNOWN_TOPIC_ID);
}

static void fetch_topic(struct fetch *f, const struct offset_fetch_request_group_topic *from,
			struct offset_fetch_response_group_topic *to)
{
	struct broker *b = f->c->broker;
	struct topic *t = f->call->version >= 10 ? topic_of_uuid(b, &from->topic_id)
						 : topic_of_name(b, from->name);

	to->name = from->name;
	to->topic_id = from->topic_id;
	COORDINATOR_MAKE(f->call, to->partitions, from->partition_indexes.n);
	for (int32_t i = 0; i < from->partition_indexes.n; i++)
		fetch_one(f, t, from->partition_indexes.v[i], &to->partitions.v[i]);
}

/* A committed offset of a group, on the way into an answer that has all of them. */
struct committed {
	struct partition *partition;
	struct stored_offset o;
};

static int compare_committed(const void *a, const void *b)
{
	const struct partition *p = ((const struct committed *)a)->partition;
	const struct partition *q = ((const struct committed *)b)->partition;
	int order = strcmp(p->topic->name, q->topic->name);

	return order ? order : (p->index > q->index) - (p->index < q->index);
}

/* By topic and partition; free() them. */
static struct committed *read_all(struct fetch *f, size_t *count, enum ks_err *err)
{
	struct broker *b = f->c->broker;
	struct buf bounds[2] = {{0}, {0}};
	struct committed *all = NULL;
	size_t n = 0, cap = 0;
	struct slice name;
	uint32_t id;

	*err = ERR_NONE;
	struct store_iter *it = offsets_iter(b->store, f->group, bounds);
	for (store_iter_first(it); store_iter_valid(it); store_iter_next(it)) {
		struct committed c;
		if (!key_offset_decode(store_iter_key(it), &name, &id) ||
		    !stored_offset_decode(store_iter_value(it), &c.o)) {
			*err = ERR_CORRUPTION;
			break;
		}
		c.partition = topics_partition(&b->topics, id);
		if (!c.partition)
			continue;
		c.o.metadata = coordinator_copy(f->call, c.o.metadata);
		if (n == cap) {
			cap = cap ? 2 * cap : 64;
			all = xrealloc(all, cap * sizeof *all);
		}
		all[n++] = c;
	}
	if (!*err)
		*err = store_iter_error(it, NULL);
	store_iter_free(it);
	buf_fini(&bounds[0]);
	buf_fini(&bounds[1]);
	if (n > 1)
		qsort(all, n, sizeof *all, compare_committed);
	*count = n;
	return all;
}

static size_t end_of_topic(const struct committed *all, size_t count, size_t i)
{
	size_t end = i;

	while (end < count && all[end].partition->topic == all[i].partition->topic)
		end++;
	return end;
}

static struct offset_fetch_response_group_topic_partition committed_row(const struct fetch *f,
									const struct committed *c)
{
	if (f->unstable && pending_offsets_has(f->unstable, c->partition->id))
		return (struct offset_fetch_response_group_topic_partition){
			.partition_index = c->partition->index,
			.committed_offset = -1,
			.committed_leader_epoch = -1,
			.metadata = slice_str(""),
			.error_code = code(ERR_UNSTABLE_OFFSET_COMMIT),
		};
	return (struct offset_fetch_response_group_topic_partition){
		.partition_index = c->partition->index,
		.committed_offset = c->o.offset,
		.committed_leader_epoch = c->o.leader_epoch,
		.metadata = c->o.metadata,
	};
}

static void fill_topic(const struct fetch *f, const struct committed *all, size_t count,
		       struct offset_fetch_response_group_topic *to)
{
	const struct topic *t = all[0].partition->topic;

	to->name = slice_str(t->name);
	memcpy(to->topic_id.bytes, t->uuid.bytes, sizeof to->topic_id.bytes);
	COORDINATOR_MAKE(f->call, to->partitions, count);
	for (size_t i = 0; i < count; i++)
		to->partitions.v[i] = committed_row(f, &all[i]);
}

static void fetch_all(struct fetch *f, struct offset_fetch_response_group *to)
{
	enum ks_err err;
	size_t count, topics = 0;
	struct committed *all = read_all(f, &count, &err);

	if (err) {
		to->error_code = code(ERR_UNKNOWN_SERVER_ERROR);
		free(all);
		return;
	}
	for (size_t i = 0; i < count; i = end_of_topic(all, count, i))
		topics++;
	COORDINATOR_MAKE(f->call, to->topics, topics);
	topics = 0;
	for (size_t i = 0, end; i < count; i = end) {
		end = end_of_topic(all, count, i);
		fill_topic(f, &all[i], end - i, &to->topics.v[topics++]);
	}
	free(all);
}

/* A member of the consumer protocol says who it is (version 9 on). */
static enum ks_err check_fetch(const struct coordinator *c,
			       const struct offset_fetch_request_group *q)
{
	const struct coordinated *x = coordinator_find(c, q->group_id);

	if (!x || !x->consumer || (!q->member_id.data && q->member_epoch < 0))
		return ERR_NONE;
	return consumer_check_epoch(x->consumer, q->member_id, q->member_epoch);
}

/* Of an unknown group nothing is committed, and that is no error. */
static void fetch_group(struct coordinator *c, struct coordinator_call *call,
			const struct offset_fetch_request_group *q,
			struct offset_fetch_response_group *to)
{
	bool is_stable_wanted =
		((const struct offset_fetch_request *)call->request)->require_stable;
	struct fetch f = {.c = c, .call = call};
	enum ks_err err = check_fetch(c, q);

	to->group_id = q->group_id;
	if (call->arena->total_bytes > COORDINATOR_ANSWER_BYTES_MAX)
		err = ERR_MESSAGE_TOO_LARGE;
	to->error_code = code(err);
	if (err)
		return;
	if (!coordinator_check_name(q->group_id))
		f.group = q->group_id;
	if (is_stable_wanted && !KS_SEEDED_BUG(3011))
		f.unstable = coordinator_find(c, q->group_id);
	if (q->topics.n < 0 && f.group.data) {
		fetch_all(&f, to);
	} else {
		COORDINATOR_MAKE(call, to->topics, q->topics.n > 0 ? q->topics.n : 0);
		for (int32_t i = 0; i < to->topics.n; i++)
			fetch_topic(&f, &q->topics.v[i], &to->topics.v[i]);
	}
	buf_fini(&f.key);
	buf_fini(&f.value);
}

/* Before version 8 there is one group, and its fields are the message's. */
static struct offset_fetch_request_group group_of_old(struct coordinator_call *call)
{
	const struct offset_fetch_request *q = call->request;
	struct offset_fetch_request_group g = {.group_id = q->group_id, .member_epoch = -1};

	if (q->topics.n < 0) {
		g.topics.n = -1;
		return g;
	}
	COORDINATOR_MAKE(call, g.topics, q->topics.n);
	for (int32_t i = 0; i < q->topics.n; i++) {
		g.topics.v[i].name = q->topics.v[i].name;
		g.topics.v[i].partition_indexes.v = q->topics.v[i].partition_indexes.v;
		g.topics.v[i].partition_indexes.n = q->topics.v[i].partition_indexes.n;
	}
	return g;
}

static void fill_old(struct coordinator_call *call, const struct offset_fetch_response_group *from)
{
	struct offset_fetch_response *r = call->response;

	r->error_code = from->error_code;
	COORDINATOR_MAKE(call, r->topics, from->topics.n);
	for (int32_t i = 0; i < from->topics.n; i++) {
		const struct offset_fetch_response_group_topic *t = &from->topics.v[i];
		r->topics.v[i].name = t->name;
		COORDINATOR_MAKE(call, r->topics.v[i].partitions, t->partitions.n);
		for (int32_t k = 0; k < t->partitions.n; k++) {
			const struct offset_fetch_response_group_topic_partition *p =
				&t->partitions.v[k];
			r->topics.v[i].partitions.v[k] = (struct offset_fetch_response_partition){
				p->partition_index, p->committed_offset, p->committed_leader_epoch,
				p->metadata, p->error_code};
		}
	}
}

void coordinator_fetch(struct coordinator *c, struct coordinator_call *call)
{
	const struct offset_fetch_request *q = call->request;
	struct offset_fetch_response *r = call->response;

	if (call->version < 8) {
		struct offset_fetch_request_group old = group_of_old(call);
		struct offset_fetch_response_group group = {.error_code = 0};
		fetch_group(c, call, &old, &group);
		fill_old(call, &group);
		return;
	}
	COORDINATOR_MAKE(call, r->groups, q->groups.n);
	for (int32_t i = 0; i < q->groups.n; i++)
		fetch_group(c, call, &q->groups.v[i], &r->groups.v[i]);
}

/* --- OffsetDelete --- */

static enum ks_err check_delete(const struct coordinated *x)
{
	if (!x)
		return ERR_GROUP_ID_NOT_FOUND;
	/* Which topics a group of another protocol type reads we cannot know. */
	if (x->classic && x->classic->members.count > 0 &&
	    slice_compare(x->classic->protocol_type, slice_str("consumer")) != 0)
		return ERR_NON_EMPTY_GROUP;
	return ERR_NONE;
}

static bool reads_topic(const struct coordinated *x, const struct topic *t)
{
	if (x->consumer)
		return consumer_reads_topic(x->consumer, t->id);
	return x->classic && x->classic->members.count > 0 &&
	       classic_reads_topic(x->classic, slice_str(t->name));
}

static enum ks_err delete_one(struct step *s, struct coordinated *x, struct topic *t, int32_t index)
{
	const struct partition *p = coordinator_partition(t, index);

	if (!p)
		return ERR_UNKNOWN_TOPIC_OR_PARTITION;
	if (reads_topic(x, t))
		return ERR_GROUP_SUBSCRIBED_TO_TOPIC;
	offset_delete(s->g->write, &s->c->key, x->name, p->id);
	pending_offsets_drop(x, p->id, s->g);
	s->g->needs_sync = true;
	return ERR_NONE;
}

void coordinator_delete_offsets(struct step *s, struct coordinator_call *call)
{
	const struct offset_delete_request *q = call->request;
	struct offset_delete_response *r = call->response;
	struct coordinated *x = coordinator_find(s->c, q->group_id);
	enum ks_err err = coordinator_check_name(q->group_id);

	r->error_code = code(err ? err : check_delete(x));
	if (r->error_code)
		return;
	COORDINATOR_MAKE(call, r->topics, q->topics.n);
	for (int32_t i = 0; i < q->topics.n; i++) {
		const struct offset_delete_request_topic *from = &q->topics.v[i];
		struct offset_delete_response_topic *to = &r->topics.v[i];
		struct topic *t = topic_of_name(s->c->broker, from->name);
		to->name = from->name;
		COORDINATOR_MAKE(call, to->partitions, from->partitions.n);
		for (int32_t k = 0; k < from->partitions.n; k++) {
			int32_t index = from->partitions.v[k].partition_index;
			to->partitions.v[k] = (struct offset_delete_response_partition){
				index, code(delete_one(s, x, t, index))};
		}
	}
}

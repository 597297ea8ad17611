/* consumer.c - see consumer.h: heartbeats, departures, timeouts. */
#include "groups/consumer.h"

#include <assert.h>

#include "groups/consumer_impl.h"

static struct consumer_member *member_at(const struct consumer_group *g, size_t i)
{
	return g->members.items[i];
}

static struct consumer_member *member_find(const struct consumer_group *g, struct slice id)
{
	return sorted_find(&g->members, id);
}

static struct consumer_member *member_of_instance(const struct consumer_group *g,
						  struct slice instance_id)
{
	struct consumer_instance *i = sorted_find(&g->instances, instance_id);
	return i ? i->member : NULL;
}

/* --- making, ending --- */

struct consumer_group *consumer_new(const struct consumer_options *options,
				    struct deadlines *deadlines, void *owner, int32_t epoch)
{
	struct consumer_group *g = xcalloc(1, sizeof *g);

	g->options = options;
	g->deadlines = deadlines;
	g->owner = owner;
	g->epoch = g->target_epoch = epoch;
	g->bytes = sizeof *g;
	return g;
}

static struct consumer_member *member_new(struct consumer_group *g, struct slice id,
					  struct slice instance_id)
{
	struct consumer_member *m = xcalloc(1, sizeof *m);

	m->id = text_copy(id);
	m->session.owner = m->rebalance.owner = g->owner;
	m->session.subject = m->rebalance.subject = m;
	sorted_add(&g->members, m);
	if (instance_id.data) {
		m->instance_id = text_copy(instance_id);
		m->instance = (struct consumer_instance){m->instance_id, m};
		sorted_add(&g->instances, &m->instance);
	}
	return m;
}

static void member_free(struct consumer_group *g, struct consumer_member *m)
{
	ownership_drop(g, m);
	interests_remove(g, m);
	sorted_remove(&g->members, m);
	if (m->instance_id.data)
		sorted_remove(&g->instances, &m->instance);
	deadline_clear(g->deadlines, &m->session);
	deadline_clear(g->deadlines, &m->rebalance);
	g->bytes -= m->bytes;
	text_free(&m->id);
	text_free(&m->instance_id);
	text_free(&m->rack_id);
	text_free(&m->client_id);
	text_free(&m->client_host);
	text_free(&m->regex);
	text_free(&m->assignor);
	names_fini(&m->topics);
	parts_fini(&m->assigned);
	parts_fini(&m->revoking);
	parts_fini(&m->target);
	free(m);
}

void consumer_free(struct consumer_group *g)
{
	if (!g)
		return;
	while (g->members.count > 0)
		member_free(g, member_at(g, g->members.count - 1));
	interests_fini(g);
	sorted_fini(&g->members);
	sorted_fini(&g->instances);
	assert(g->partitions.count == 0);
	owners_fini(&g->partitions);
	free(g);
}

/* --- effects --- */

static void forget_removed(struct consumer_effects *fx)
{
	for (size_t i = 0; i < fx->removed_count; i++)
		text_free(&fx->removed[i]);
	fx->removed_count = 0;
}

void consumer_effects_clear(struct consumer_effects *fx)
{
	for (size_t i = 0; i < fx->member_count; i++)
		fx->members[i]->is_changed = false;
	fx->member_count = 0;
	fx->group = false;
	forget_removed(fx);
}

void consumer_effects_fini(struct consumer_effects *fx)
{
	forget_removed(fx);
	free(fx->members);
	free(fx->removed);
	*fx = (struct consumer_effects){0};
}

static void id_removed(struct slice id, struct consumer_effects *fx)
{
	if (fx->removed_count == fx->removed_cap) {
		fx->removed_cap = fx->removed_cap ? 2 * fx->removed_cap : 4;
		fx->removed = xrealloc(fx->removed, fx->removed_cap * sizeof *fx->removed);
	}
	fx->removed[fx->removed_count++] = text_copy(id);
}

static void member_removed(struct consumer_member *m, struct consumer_effects *fx)
{
	id_removed(m->id, fx);
	for (size_t i = 0; i < fx->member_count; i++)
		if (fx->members[i] == m)
			fx->members[i--] = fx->members[--fx->member_count];
}

static size_t member_bytes(const struct consumer_member *m)
{
	return sizeof *m + m->id.len + m->instance_id.len + m->rack_id.len + m->client_id.len +
	       m->client_host.len + m->regex.len + m->assignor.len + names_bytes(&m->topics) +
	       (m->assigned.count + m->revoking.count + m->target.count) * 2 *
		       sizeof *m->assigned.v;
}

static void count_bytes(struct consumer_group *g, struct consumer_member *m)
{
	g->bytes -= m->bytes;
	m->bytes = member_bytes(m);
	g->bytes += m->bytes;
}

size_t consumer_beat_bytes(const struct consumer_beat *b)
{
	size_t bytes = sizeof(struct consumer_member) + b->member_id.len + b->instance_id.len +
		       b->rack_id.len + b->client_id.len + b->client_host.len + b->regex.len +
		       b->assignor.len;

	for (size_t i = 0; i < b->name_count; i++)
		bytes += sizeof *b->names + b->names[i].len + 1;
	return bytes;
}

/* --- heartbeats --- */

static bool is_subset(const struct parts *owned, const struct parts *of)
{
	for (size_t i = 0; i < owned->count; i++)
		if (!parts_have(of, owned->v[i]))
			return false;
	return true;
}

/* The epoch before is right too when the answer that told the new one was lost: the member then
 * has no more than it was assigned. */
static enum ks_err check_epoch(const struct consumer_member *m, const struct consumer_beat *b)
{
	if (b->epoch == m->epoch)
		return ERR_NONE;
	if (b->epoch < m->epoch && b->epoch == m->previous_epoch && b->has_owned &&
	    is_subset(b->owned, &m->assigned))
		return ERR_NONE;
	return ERR_FENCED_MEMBER_EPOCH;
}

/* Who sends a heartbeat. Neither: it joins. */
struct sender {
	struct consumer_member *member;
	bool is_back; /* a static member that had left for a while, perhaps under another id */
};

static enum ks_err find_dynamic(const struct consumer_group *g, const struct consumer_beat *b,
				struct sender *s)
{
	s->member = member_find(g, b->member_id);
	if (s->member)
		return check_epoch(s->member, b);
	return b->epoch == 0 ? ERR_NONE : ERR_UNKNOWN_MEMBER_ID;
}

/* The instance is known under another id. */
static enum ks_err find_replaced(const struct consumer_group *g, struct consumer_member *m,
				 const struct consumer_beat *b, struct sender *s)
{
	if (b->epoch != 0)
		return ERR_FENCED_INSTANCE_ID;
	if (m->epoch != CONSUMER_EPOCH_LEAVE_STATIC)
		return ERR_UNRELEASED_INSTANCE_ID;
	if (member_find(g, b->member_id))
		return ERR_INVALID_REQUEST; /* the id belongs to yet another member */
	*s = (struct sender){m, true};
	return ERR_NONE;
}

static enum ks_err find_static(const struct consumer_group *g, const struct consumer_beat *b,
			       struct sender *s)
{
	struct consumer_member *m = member_of_instance(g, b->instance_id);

	if (!m && b->epoch != 0)
		return ERR_UNKNOWN_MEMBER_ID;
	if (!m)
		return member_find(g, b->member_id) ? ERR_INVALID_REQUEST : ERR_NONE;
	if (slice_compare(m->id, b->member_id) != 0)
		return find_replaced(g, m, b, s);
	*s = (struct sender){m, b->epoch == 0 && m->epoch == CONSUMER_EPOCH_LEAVE_STATIC};
	return s->is_back ? ERR_NONE : check_epoch(m, b);
}

static enum ks_err find_sender(const struct consumer_group *g, const struct consumer_beat *b,
			       struct sender *s)
{
	*s = (struct sender){NULL, false};
	enum ks_err err = b->instance_id.data ? find_static(g, b, s) : find_dynamic(g, b, s);
	if (!err && !s->member && g->members.count >= (size_t)g->options->max_size)
		return ERR_GROUP_MAX_SIZE_REACHED;
	return err;
}

/* A static member is back: what it had and was to have is kept for it. */
static void come_back(struct consumer_group *g, struct consumer_member *m,
		      const struct consumer_beat *b, struct consumer_effects *fx)
{
	m->epoch = m->previous_epoch = 0;
	if (slice_compare(m->id, b->member_id) != 0) {
		id_removed(m->id, fx);
		sorted_remove(&g->members, m);
		text_set(&m->id, b->member_id);
		sorted_add(&g->members, m);
	}
	member_changed(m, fx);
}

/* null: as before. */
static void update(struct slice *to, struct slice from, struct consumer_member *m,
		   struct consumer_effects *fx)
{
	if (!from.data || (to->data && slice_compare(*to, from) == 0))
		return;
	text_set(to, from);
	member_changed(m, fx);
}

static bool names_change(const struct consumer_member *m, const struct consumer_beat *b,
			 struct names *wanted)
{
	if (!b->has_names)
		return false;
	for (size_t i = 0; i < b->name_count; i++)
		names_append(wanted, b->names[i]);
	names_settle(wanted);
	return !names_equal(wanted, &m->topics);
}

/* true: it is another subscription. */
static bool update_subscription(struct consumer_group *g, struct consumer_member *m,
				const struct consumer_beat *b, struct consumer_effects *fx)
{
	struct names wanted = {0};
	bool has_names = names_change(m, b, &wanted);
	bool has_regex = b->regex.data && slice_compare(m->regex, b->regex) != 0;

	if (has_names || has_regex) {
		struct consumer_member before = *m;
		if (has_names)
			m->topics = wanted;
		if (has_regex)
			m->regex = text_copy(b->regex);
		/* The new first, so that what stays is not looked up again. */
		interests_add(g, m);
		interests_remove(g, &before);
		if (has_names)
			wanted = before.topics;
		if (has_regex)
			text_free(&before.regex);
		member_changed(m, fx);
	}
	names_fini(&wanted);
	return has_names || has_regex;
}

static bool update_member(struct consumer_group *g, struct consumer_member *m,
			  const struct consumer_beat *b, struct consumer_effects *fx)
{
	update(&m->rack_id, b->rack_id, m, fx);
	update(&m->client_id, b->client_id, m, fx);
	update(&m->client_host, b->client_host, m, fx);
	update(&m->assignor, b->assignor, m, fx);
	if (b->rebalance_timeout_ms >= 0 && b->rebalance_timeout_ms != m->rebalance_timeout_ms) {
		m->rebalance_timeout_ms = b->rebalance_timeout_ms;
		member_changed(m, fx);
	}
	return update_subscription(g, m, b, fx);
}

static void raise_epoch(struct consumer_group *g, struct consumer_effects *fx)
{
	g->epoch++;
	fx->group = true;
}

/* A full heartbeat tells everything, as one does that may have missed an answer. */
static bool is_full(const struct consumer_beat *b)
{
	return b->epoch == 0 ||
	       (b->rebalance_timeout_ms >= 0 && (b->has_names || b->regex.data) && b->has_owned);
}

/* One step towards the target. true: the member is assigned something else now. */
static bool reconcile(struct consumer_group *g, struct consumer_member *m,
		      const struct consumer_beat *b, const struct moment *at,
		      struct consumer_effects *fx)
{
	struct parts before = {0};

	if (member_is_reconciled(g, m))
		return false;
	parts_copy(&before, &m->assigned);
	member_reconcile(g, m, b->has_owned ? b->owned : NULL, at, fx);
	bool has_changed = !parts_equal(&before, &m->assigned);
	parts_fini(&before);
	return has_changed;
}

enum ks_err consumer_heartbeat(struct consumer_group *g, const struct consumer_beat *b,
			       const struct moment *at, struct consumer_effects *fx,
			       const struct consumer_member **member, bool *is_news)
{
	struct sender s;
	enum ks_err err = find_sender(g, b, &s);

	assert(b->epoch >= 0 && b->member_id.len > 0);
	if (err)
		return err;
	struct consumer_member *m = s.member;
	bool is_new = !m;
	if (is_new) {
		m = member_new(g, b->member_id, b->instance_id);
		m->regex = text_copy(slice_str(""));
		g->empty_since_ms = 0;
		member_changed(m, fx);
	}
	if (s.is_back)
		come_back(g, m, b, fx);
	bool has_changed = update_member(g, m, b, fx);
	if (topics_refresh(g) || has_changed || is_new)
		raise_epoch(g, fx);
	if (g->epoch > g->target_epoch)
		target_update(g, fx);
	*is_news = reconcile(g, m, b, at, fx) || is_full(b);
	deadline_set(g->deadlines, &m->session, at->ms + g->options->session_timeout_ms);
	for (size_t i = 0; i < fx->member_count; i++)
		count_bytes(g, fx->members[i]);
	*member = m;
	return ERR_NONE;
}

/* --- leaving --- */

/* Its partitions are free for others at once. */
static void fence(struct consumer_group *g, struct consumer_member *m, const struct moment *at,
		  struct consumer_effects *fx)
{
	member_removed(m, fx);
	member_free(g, m);
	topics_refresh(g);
	raise_epoch(g, fx);
	if (g->members.count == 0)
		g->empty_since_ms = at->wall_ms;
}

static void leave_for_a_while(struct consumer_group *g, struct consumer_member *m,
			      struct consumer_effects *fx)
{
	ownership_drop(g, m);
	parts_clear(&m->revoking);
	ownership_take(g, m);
	deadline_clear(g->deadlines, &m->rebalance);
	m->state = CONSUMER_MEMBER_STABLE;
	m->epoch = CONSUMER_EPOCH_LEAVE_STATIC;
	member_changed(m, fx);
}

enum ks_err consumer_leave(struct consumer_group *g, struct slice member_id,
			   struct slice instance_id, int32_t epoch, const struct moment *at,
			   struct consumer_effects *fx)
{
	struct consumer_member *m =
		instance_id.data ? member_of_instance(g, instance_id) : member_find(g, member_id);

	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	if (slice_compare(m->id, member_id) != 0)
		return ERR_FENCED_INSTANCE_ID;
	if (epoch == CONSUMER_EPOCH_LEAVE_STATIC && m->instance_id.data)
		leave_for_a_while(g, m, fx);
	else
		fence(g, m, at, fx);
	return ERR_NONE;
}

void consumer_expire(struct consumer_group *g, struct deadline *t, const struct moment *at,
		     struct consumer_effects *fx)
{
	fence(g, t->subject, at, fx);
}

/* --- looking --- */

enum ks_err consumer_check_epoch(const struct consumer_group *g, struct slice member_id,
				 int32_t epoch)
{
	const struct consumer_member *m = member_find(g, member_id);

	if (!m)
		return ERR_UNKNOWN_MEMBER_ID;
	return epoch == m->epoch ? ERR_NONE : ERR_STALE_MEMBER_EPOCH;
}

const char *consumer_state_name(const struct consumer_group *g)
{
	if (g->members.count == 0)
		return "Empty";
	if (g->epoch > g->target_epoch)
		return "Assigning";
	for (size_t i = 0; i < g->members.count; i++)
		if (!member_is_reconciled(g, member_at(g, i)))
			return "Reconciling";
	return "Stable";
}

bool consumer_reads_topic(const struct consumer_group *g, uint32_t topic)
{
	size_t low = 0, high = g->topic_count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (g->topics[middle].number < topic)
			low = middle + 1;
		else
			high = middle;
	}
	return low < g->topic_count && g->topics[low].number == topic;
}

/* --- what was written down --- */

void consumer_record_make(const struct consumer_group *g, struct consumer_group_record *r)
{
	*r = (struct consumer_group_record){
		.epoch = g->epoch,
		.target_epoch = g->target_epoch,
		.empty_since_ms = g->empty_since_ms,
		.topics = g->topics,
		.topic_count = g->topic_count,
	};
}

bool consumer_restore(struct consumer_group *g, const struct consumer_group_record *r)
{
	if (r->epoch < 0 || r->target_epoch < 0 || r->target_epoch > r->epoch)
		return false;
	for (size_t i = 0; i < r->topic_count; i++)
		if (r->topics[i].partitions < 0 ||
		    (i > 0 && r->topics[i - 1].number >= r->topics[i].number))
			return false;
	g->epoch = r->epoch;
	g->target_epoch = r->target_epoch;
	g->empty_since_ms = r->empty_since_ms;
	g->topics = xcalloc(r->topic_count + 1, sizeof *g->topics);
	for (size_t i = 0; i < r->topic_count; i++)
		g->topics[i] = r->topics[i];
	g->topic_count = r->topic_count;
	g->bytes += g->topic_count * sizeof *g->topics;
	return true;
}

static bool all_are_free(const struct consumer_group *g, const struct parts *p)
{
	for (size_t i = 0; i < p->count; i++)
		if (owners_get(&g->partitions, p->v[i]))
			return false;
	return true;
}

static bool member_makes_sense(const struct consumer_group *g, const struct consumer_member *r)
{
	struct parts both = {0};

	if (r->id.len == 0 || member_find(g, r->id) ||
	    (r->instance_id.data && member_of_instance(g, r->instance_id)))
		return false;
	if (r->epoch > g->epoch || r->epoch < CONSUMER_EPOCH_LEAVE_STATIC ||
	    (unsigned)r->state >= CONSUMER_MEMBER_STATES || r->rebalance_timeout_ms < 0)
		return false;
	if (r->assignor.data && !assignor_find(r->assignor))
		return false;
	parts_common(&both, &r->assigned, &r->revoking);
	bool is_apart = both.count == 0;
	parts_fini(&both);
	return is_apart && all_are_free(g, &r->assigned) && all_are_free(g, &r->revoking);
}

bool consumer_restore_member(struct consumer_group *g, const struct consumer_member *r)
{
	if (!member_makes_sense(g, r))
		return false;
	struct consumer_member *m = member_new(g, r->id, r->instance_id);
	m->rack_id = text_copy(r->rack_id);
	m->client_id = text_copy(r->client_id);
	m->client_host = text_copy(r->client_host);
	m->regex = text_copy(r->regex);
	m->assignor = text_copy(r->assignor);
	names_copy(&m->topics, &r->topics);
	m->rebalance_timeout_ms = r->rebalance_timeout_ms;
	m->epoch = r->epoch;
	m->previous_epoch = r->previous_epoch;
	m->state = r->state;
	parts_copy(&m->assigned, &r->assigned);
	parts_copy(&m->revoking, &r->revoking);
	parts_copy(&m->target, &r->target);
	ownership_take(g, m);
	interests_add(g, m);
	count_bytes(g, m);
	return true;
}

void consumer_restored(struct consumer_group *g, const struct moment *at)
{
	for (size_t i = 0; i < g->members.count; i++) {
		struct consumer_member *m = member_at(g, i);
		deadline_set(g->deadlines, &m->session, at->ms + g->options->session_timeout_ms);
		if (m->state == CONSUMER_MEMBER_UNREVOKED)
			deadline_set(g->deadlines, &m->rebalance, at->ms + m->rebalance_timeout_ms);
	}
}

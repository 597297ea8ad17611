/* classic_member.c - the members of a classic group; see classic_impl.h. */
#include "groups/classic_impl.h"

#include <assert.h>

#include "groups/subscription.h"

struct classic_member *member_at(const struct classic_group *g, size_t i)
{
	return g->members.items[i];
}

struct classic_member *member_find(const struct classic_group *g, struct slice id)
{
	return sorted_find(&g->members, id);
}

struct classic_member *pending_find(const struct classic_group *g, struct slice id)
{
	return sorted_find(&g->pending, id);
}

struct classic_member *member_of_instance(const struct classic_group *g, struct slice instance_id)
{
	struct classic_instance *i = sorted_find(&g->instances, instance_id);
	return i ? i->member : NULL;
}

/* --- what members take in memory --- */

static size_t member_bytes(const struct classic_member *m)
{
	size_t bytes = sizeof *m + m->id.len + m->instance_id.len + m->client_id.len +
		       m->client_host.len + m->assignment.len;

	for (size_t i = 0; i < m->protocol_count; i++)
		bytes += sizeof *m->protocols + m->protocols[i].name.len +
			 m->protocols[i].metadata.len;
	return bytes;
}

size_t classic_join_bytes(const struct classic_join *j)
{
	size_t bytes = sizeof(struct classic_member) + j->fresh_id.len + j->instance_id.len +
		       j->client_id.len + j->client_host.len;

	for (size_t i = 0; i < j->protocol_count; i++)
		bytes += sizeof *j->protocols + j->protocols[i].name.len +
			 j->protocols[i].metadata.len;
	return bytes;
}

/* --- protocols --- */

static struct classic_support *support_find(const struct classic_group *g, struct slice name)
{
	for (size_t i = 0; i < g->support_count; i++)
		if (slice_compare(g->support[i].name, name) == 0)
			return &g->support[i];
	return NULL;
}

static void support_add(struct classic_group *g, const struct classic_member *m)
{
	for (size_t i = 0; i < m->protocol_count; i++) {
		struct classic_support *s = support_find(g, m->protocols[i].name);
		if (s) {
			s->members++;
			continue;
		}
		if (g->support_count == g->support_cap) {
			g->support_cap = g->support_cap ? 2 * g->support_cap : 4;
			g->support = xrealloc(g->support, g->support_cap * sizeof *g->support);
		}
		g->support[g->support_count++] =
			(struct classic_support){text_copy(m->protocols[i].name), 1};
	}
}

static void support_remove(struct classic_group *g, const struct classic_member *m)
{
	for (size_t i = 0; i < m->protocol_count; i++) {
		struct classic_support *s = support_find(g, m->protocols[i].name);
		assert(s && s->members > 0);
		if (--s->members > 0)
			continue;
		text_free(&s->name);
		*s = g->support[--g->support_count];
	}
}

static bool supported_by_all(const struct classic_group *g, struct slice name)
{
	const struct classic_support *s = support_find(g, name);
	return (s ? s->members : 0) == g->members.count;
}

bool protocols_fit(const struct classic_group *g, const struct classic_join *j)
{
	if (g->state == CLASSIC_EMPTY)
		return j->protocol_type.len > 0 && j->protocol_count > 0;
	if (slice_compare(g->protocol_type, j->protocol_type) != 0)
		return false;
	for (size_t i = 0; i < j->protocol_count; i++)
		if (supported_by_all(g, j->protocols[i].name))
			return true;
	return false;
}

/* Whether it names a protocol that it has named before. */
static bool is_repeated(const struct classic_protocol *protocols, size_t i)
{
	for (size_t k = 0; k < i; k++)
		if (slice_compare(protocols[k].name, protocols[i].name) == 0)
			return true;
	return false;
}

bool member_matches(const struct classic_member *m, const struct classic_join *j)
{
	size_t n = 0;

	for (size_t i = 0; i < j->protocol_count; i++) {
		if (is_repeated(j->protocols, i))
			continue;
		if (n == m->protocol_count ||
		    slice_compare(m->protocols[n].name, j->protocols[i].name) != 0 ||
		    slice_compare(m->protocols[n].metadata, j->protocols[i].metadata) != 0)
			return false;
		n++;
	}
	return n == m->protocol_count;
}

/* A member votes for the first of its protocols that all support. */
static const struct classic_support *vote(const struct classic_group *g,
					  const struct classic_member *m)
{
	for (size_t i = 0; i < m->protocol_count; i++)
		if (supported_by_all(g, m->protocols[i].name))
			return support_find(g, m->protocols[i].name);
	return NULL;
}

struct slice protocol_select(const struct classic_group *g)
{
	size_t *votes = xcalloc(g->support_count + 1, sizeof *votes);
	const struct classic_support *best = NULL;

	for (size_t i = 0; i < g->members.count; i++) {
		const struct classic_support *s = vote(g, member_at(g, i));
		if (s)
			votes[s - g->support]++;
	}
	/* Of equals the one that comes first by name, whoever joined in which order. */
	for (size_t i = 0; i < g->support_count; i++) {
		const struct classic_support *s = &g->support[i];
		size_t most = best ? votes[best - g->support] : 0;
		if (votes[i] > most ||
		    (votes[i] > 0 && votes[i] == most && slice_compare(s->name, best->name) < 0))
			best = s;
	}
	free(votes);
	assert(best && "protocols_fit keeps one that all support");
	return best->name;
}

/* Of two protocols with one name the first counts. */
static void protocols_set(struct classic_member *m, const struct classic_protocol *protocols,
			  size_t count)
{
	m->protocols = xcalloc(count ? count : 1, sizeof *m->protocols);
	m->protocol_count = 0;
	for (size_t i = 0; i < count; i++)
		if (!is_repeated(protocols, i))
			m->protocols[m->protocol_count++] = (struct classic_protocol){
				text_copy(protocols[i].name), text_copy(protocols[i].metadata)};
}

static void protocols_free(struct classic_member *m)
{
	for (size_t i = 0; i < m->protocol_count; i++) {
		text_free(&m->protocols[i].name);
		text_free(&m->protocols[i].metadata);
	}
	free(m->protocols);
	m->protocols = NULL;
	m->protocol_count = 0;
}

struct slice classic_metadata(const struct classic_group *g, const struct classic_member *m)
{
	for (size_t i = 0; i < m->protocol_count; i++)
		if (g->protocol_name.data &&
		    slice_compare(m->protocols[i].name, g->protocol_name) == 0)
			return m->protocols[i].metadata;
	return slice_str("");
}

void topics_update(struct classic_group *g)
{
	g->bytes -= names_bytes(&g->topics);
	names_clear(&g->topics);
	g->knows_topics = g->protocol_type.data &&
			  slice_compare(g->protocol_type, slice_str("consumer")) == 0;
	for (size_t i = 0; i < g->members.count && g->knows_topics; i++)
		g->knows_topics =
			subscription_topics(classic_metadata(g, member_at(g, i)), &g->topics);
	if (!g->knows_topics)
		names_clear(&g->topics);
	names_settle(&g->topics);
	g->bytes += names_bytes(&g->topics);
}

/* --- members --- */

static struct classic_member *member_new(const struct classic_group *g, struct slice id)
{
	struct classic_member *m = xcalloc(1, sizeof *m);

	m->id = text_copy(id);
	m->session.owner = g->owner;
	m->session.subject = m;
	return m;
}

static void member_free(struct classic_member *m)
{
	assert(!m->join_call && !m->sync_call && !deadline_is_set(&m->session));
	text_free(&m->id);
	text_free(&m->instance_id);
	text_free(&m->client_id);
	text_free(&m->client_host);
	text_free(&m->assignment);
	protocols_free(m);
	free(m);
}

static void take_over(struct classic_member *m, const struct classic_join *j)
{
	text_set(&m->client_id, j->client_id);
	text_set(&m->client_host, j->client_host);
	m->session_timeout_ms = j->session_timeout_ms;
	m->rebalance_timeout_ms = j->rebalance_timeout_ms;
	protocols_set(m, j->protocols, j->protocol_count);
}

struct classic_member *member_add(struct classic_group *g, const struct classic_join *j,
				  struct slice id)
{
	struct classic_member *m = member_new(g, id);

	take_over(m, j);
	if (j->instance_id.data) {
		m->instance_id = text_copy(j->instance_id);
		m->instance = (struct classic_instance){m->instance_id, m};
		sorted_add(&g->instances, &m->instance);
	}
	if (g->members.count == 0)
		text_set(&g->protocol_type, j->protocol_type);
	sorted_add(&g->members, m);
	support_add(g, m);
	g->bytes += member_bytes(m);
	if (!g->leader)
		g->leader = m;
	return m;
}

void member_update(struct classic_group *g, struct classic_member *m, const struct classic_join *j)
{
	g->bytes -= member_bytes(m);
	support_remove(g, m);
	protocols_free(m);
	take_over(m, j);
	support_add(g, m);
	g->bytes += member_bytes(m);
}

void member_rename(struct classic_group *g, struct classic_member *m, struct slice id)
{
	g->bytes -= member_bytes(m);
	sorted_remove(&g->members, m);
	text_free(&g->former_id);
	g->former_id = m->id;
	m->id = text_copy(id);
	sorted_add(&g->members, m);
	g->bytes += member_bytes(m);
}

void member_remove(struct classic_group *g, struct classic_member *m)
{
	g->bytes -= member_bytes(m);
	sorted_remove(&g->members, m);
	if (m->instance_id.data)
		sorted_remove(&g->instances, &m->instance);
	support_remove(g, m);
	if (m->is_unsynced)
		g->unsynced--;
	if (g->leader == m)
		g->leader = g->members.count > 0 ? member_at(g, 0) : NULL;
	deadline_clear(g->deadlines, &m->session);
	member_free(m);
}

void member_assign(struct classic_group *g, struct classic_member *m, struct slice assignment)
{
	g->bytes -= m->assignment.len;
	text_set(&m->assignment, assignment);
	g->bytes += m->assignment.len;
}

struct classic_member *pending_add(struct classic_group *g, struct slice id)
{
	struct classic_member *m = member_new(g, id);

	m->is_pending = true;
	sorted_add(&g->pending, m);
	g->bytes += member_bytes(m);
	return m;
}

void pending_remove(struct classic_group *g, struct classic_member *m)
{
	g->bytes -= member_bytes(m);
	sorted_remove(&g->pending, m);
	deadline_clear(g->deadlines, &m->session);
	member_free(m);
}

int32_t rebalance_timeout_ms(const struct classic_group *g)
{
	int32_t longest = 0;

	for (size_t i = 0; i < g->members.count; i++)
		if (member_at(g, i)->rebalance_timeout_ms > longest)
			longest = member_at(g, i)->rebalance_timeout_ms;
	return longest;
}

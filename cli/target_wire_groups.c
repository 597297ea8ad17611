/* target_wire_groups.c - consumer groups of a cluster, from outside and as a member. */
#include <stdlib.h>

#include "cli/target_wire.h"

enum ks_err wire_groups(struct target *t, struct target_groups *out, struct ks_why *why)
{
	struct client_group *groups;
	size_t count;
	enum ks_err err = client_groups_list(wire_of(t)->cluster, &groups, &count, why);

	if (err)
		return err;
	*out = (struct target_groups){.count = count};
	out->rows = arena_alloc(&out->arena, (count + 1) * sizeof *out->rows);
	for (size_t i = 0; i < count; i++)
		out->rows[i] =
			(struct target_group){.name = arena_strdup(&out->arena, groups[i].name),
					      .state = arena_strdup(&out->arena, groups[i].state),
					      .type = arena_strdup(&out->arena, groups[i].type),
					      .coordinator = groups[i].coordinator};
	client_groups_free(groups, count);
	return ERR_NONE;
}

/* Whether the group is there at all, when it has committed nothing. */
static enum ks_err check_group(struct wire_target *w, const char *group, struct ks_why *why)
{
	struct client_group_description d;
	enum ks_err err = client_group_describe(w->cluster, group, &d, why);

	if (err)
		return err;
	bool is_there = !slice_equal(d.state, slice_str("Dead"));
	client_reply_fini(&d.reply);
	return is_there ? ERR_NONE
			: ks_fail(why, ERR_GROUP_ID_NOT_FOUND, "group \"%s\": %s", group,
				  ks_err_text(ERR_GROUP_ID_NOT_FOUND));
}

/* The topics of the rows, in a table of their own; those that are gone have no partitions. */
static enum ks_err find_topics(struct target *t, const struct client_group_offset *rows,
			       size_t count, struct target_offset *out, size_t *kept,
			       struct ks_why *why)
{
	struct target_topic topic = {.name = ""};
	bool is_there = false;

	*kept = 0;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(rows[i].topic, topic.name) != 0) {
			struct ks_why unused;
			enum ks_err err = wire_topic_find(t, rows[i].topic, false, &topic, &unused);
			if (err && err != ERR_UNKNOWN_TOPIC_OR_PARTITION)
				return ks_fail(why, err, "%s", unused.text);
			is_there = !err;
			if (err)
				topic = (struct target_topic){.name = rows[i].topic};
		}
		if (is_there && rows[i].partition < topic.partition_count)
			out[(*kept)++] =
				(struct target_offset){topic, rows[i].partition, rows[i].offset};
	}
	return ERR_NONE;
}

enum ks_err wire_group_offsets(struct target *t, const char *group, struct target_offset **out,
			       size_t *count, struct ks_why *why)
{
	struct wire_target *w = wire_of(t);
	struct client_group_offset *rows;
	size_t n, kept;
	enum ks_err err = client_group_offsets(w->cluster, group, &rows, &n, why);

	if (!err && n == 0)
		err = check_group(w, group, why);
	if (err)
		return err;
	struct target_offset *found = xcalloc(n + 1, sizeof *found);
	err = find_topics(t, rows, n, found, &kept, why);
	client_group_offsets_free(rows, n);
	if (err) {
		free(found);
		return err;
	}
	*out = found;
	*count = kept;
	return ERR_NONE;
}

/* --- members --- */

static size_t count_rows(const struct client_group_description *d)
{
	size_t n = 0;

	for (size_t i = 0; i < d->member_count; i++) {
		size_t before = n;
		for (size_t k = 0; k < d->members[i].share_count; k++)
			n += (size_t)d->members[i].shares[k].count;
		n += n == before;
	}
	return n;
}

static void add_member(struct target_members *out, const struct client_group_member *m)
{
	struct target_assigned row = {.partition = -1,
				      .member = arena_text(&out->arena, m->id),
				      .host = arena_text(&out->arena, m->host),
				      .client_id = arena_text(&out->arena, m->client_id)};
	size_t before = out->row_count;

	for (size_t i = 0; i < m->share_count; i++) {
		row.topic = arena_text(&out->arena, m->shares[i].topic);
		for (int32_t k = 0; k < m->shares[i].count; k++) {
			row.partition = m->shares[i].partitions[k];
			out->rows[out->row_count++] = row;
		}
	}
	if (out->row_count == before) {
		row.topic = NULL;
		out->rows[out->row_count++] = row;
	}
}

enum ks_err wire_group_members(struct target *t, const char *group, struct target_members *out,
			       struct ks_why *why)
{
	struct client_group_description d;
	enum ks_err err = client_group_describe(wire_of(t)->cluster, group, &d, why);

	if (err)
		return err;
	*out = (struct target_members){.member_count = d.member_count};
	out->group = (struct target_group){.name = arena_strdup(&out->arena, group),
					   .state = arena_text(&out->arena, d.state),
					   .type = "",
					   .coordinator = d.coordinator};
	out->assignor = arena_text(&out->arena, d.assignor);
	out->rows = arena_alloc(&out->arena, (count_rows(&d) + 1) * sizeof *out->rows);
	for (size_t i = 0; i < d.member_count; i++)
		add_member(out, &d.members[i]);
	client_reply_fini(&d.reply);
	return ERR_NONE;
}

/* --- offsets and the end --- */

static int compare_offsets(const void *a, const void *b)
{
	const struct client_group_offset *x = a, *y = b;

	return strcmp(x->topic, y->topic);
}

enum ks_err wire_group_commit(struct target *t, const char *group,
			      const struct target_offset *offsets, size_t count, struct ks_why *why)
{
	struct wire_target *w = wire_of(t);
	struct client_committer who = {.generation = -1};
	struct client_group_offset *rows = xcalloc(count + 1, sizeof *rows);

	if (w->member && strcmp(w->member_group, group) == 0)
		who = client_member_committer(w->member);
	for (size_t i = 0; i < count; i++)
		rows[i] = (struct client_group_offset){(char *)offsets[i].topic.name,
						       offsets[i].partition, offsets[i].offset};
	qsort(rows, count, sizeof *rows, compare_offsets);
	enum ks_err err = client_group_commit(w->cluster, group, &who, rows, count, why);
	free(rows);
	if (err == ERR_UNKNOWN_MEMBER_ID && !who.member_id)
		return ks_fail(why, ERR_NON_EMPTY_GROUP,
			       "group \"%s\" has members: its offsets can be moved once they are "
			       "gone",
			       group);
	return err;
}

enum ks_err wire_group_delete(struct target *t, const char *group, struct ks_why *why)
{
	return client_group_delete(wire_of(t)->cluster, group, why);
}

/* --- being a member --- */

static void become_member(struct wire_target *w, const char *group,
			  const struct target_topic *topics, size_t count)
{
	const char **names = xcalloc(count + 1, sizeof(char *));

	for (size_t i = 0; i < count; i++)
		names[i] = topics[i].name;
	w->member_group = xstrdup(group);
	w->member = client_member_new(
		w->cluster, &(struct client_member_options){
				    .group = group,
				    .topics = names,
				    .topic_count = count,
				    .session_timeout_ms = w->options.session_timeout_ms,
				    .rebalance_timeout_ms = w->options.rebalance_timeout_ms,
				    .heartbeat_interval_ms = w->options.heartbeat_interval_ms});
	free(names);
}

enum ks_err wire_member_join(struct target *t, const char *group, const struct target_topic *topics,
			     size_t topic_count, struct target_offset **out, size_t *count,
			     struct ks_why *why)
{
	struct wire_target *w = wire_of(t);
	size_t n;

	if (!w->member)
		become_member(w, group, topics, topic_count);
	enum ks_err err = client_member_join(w->member, why);
	if (err)
		return err;
	const struct client_assigned *assigned = client_member_assignment(w->member, &n);
	struct target_offset *rows = xcalloc(n + 1, sizeof *rows);
	for (size_t i = 0; i < n && !err; i++) {
		rows[i].partition = assigned[i].partition;
		if (i && strcmp(rows[i - 1].topic.name, assigned[i].topic) == 0)
			rows[i].topic = rows[i - 1].topic;
		else
			err = wire_topic_find(t, assigned[i].topic, false, &rows[i].topic, why);
	}
	if (err) {
		free(rows);
		return err;
	}
	*out = rows;
	*count = n;
	return ERR_NONE;
}

enum ks_err wire_member_heartbeat(struct target *t, bool *must_join, struct ks_why *why)
{
	return client_member_heartbeat(wire_of(t)->member, must_join, why);
}

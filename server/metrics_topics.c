/* metrics_topics.c - offsets of partitions and groups, under the names of kafka_exporter. */
#include <stdio.h>
#include <stdlib.h>

#include "server/metrics_text.h"
#include "server/prom.h"
#include "wire/api.h"

/* --- topics --- */

static void put_partition_counts(struct topic **topics, size_t count, struct buf *out)
{
	struct prom p;

	prom_begin(&p, out, "kafka_topic_partitions", PROM_GAUGE, "Partitions of a topic.");
	for (size_t i = 0; i < count; i++) {
		struct prom_label label = {"topic", slice_str(topic_name(topics[i]))};
		prom_int(&p, &label, 1, topic_partition_count(topics[i]));
	}
}

static int64_t size_of(const struct partition *p)
{
	return (int64_t)partition_size_bytes(p);
}

/* Stable first: the high watermark is never below one that was taken before. */
static int64_t unstable_of(const struct partition *p)
{
	int64_t stable = partition_last_stable_offset(p);
	return partition_high_watermark(p) - stable;
}

static const struct {
	const char *name, *help;
	int64_t (*get)(const struct partition *p);
} partition_figures[] = {
	{"kafka_topic_partition_current_offset",
	 "The next offset of a partition, its high watermark.", partition_high_watermark},
	{"kafka_topic_partition_oldest_offset", "The first offset of a partition.",
	 partition_log_start_offset},
	{"ks_topic_partition_unstable_offsets",
	 "Offsets from a partition's last stable offset to its high watermark.", unstable_of},
	{"ks_topic_partition_bytes", "Bytes of a partition's record batches.", size_of},
};

static void put_partitions(struct topic *t, const struct prom *p,
			   int64_t (*get)(const struct partition *p))
{
	char index[16];

	for (int32_t i = 0; i < topic_partition_count(t); i++) {
		snprintf(index, sizeof index, "%d", i);
		struct prom_label labels[] = {{"topic", slice_str(topic_name(t))},
					      {"partition", slice_str(index)}};
		prom_int(p, labels, 2, get(topic_partition(t, i)));
	}
}

static void put_omitted(struct buf *out, const char *family, bool is_omitted)
{
	prom_one(out, family, PROM_GAUGE,
		 "1 when there are so many partitions that /metrics?full=1 has to be asked for "
		 "their "
		 "series.",
		 is_omitted);
}

void metrics_text_topics(struct broker *b, bool is_full, struct buf *out)
{
	size_t count;
	struct topic **topics = broker_topics(b, &count);
	int64_t partitions = 0;
	struct prom p;

	for (size_t i = 0; i < count; i++)
		partitions += topic_partition_count(topics[i]);
	put_partition_counts(topics, count, out);
	bool is_told = is_full || partitions <= METRICS_PARTITIONS_MAX;
	put_omitted(out, "ks_metrics_topic_partitions_omitted", !is_told);
	for (size_t f = 0; is_told && f < sizeof partition_figures / sizeof *partition_figures;
	     f++) {
		prom_begin(&p, out, partition_figures[f].name, PROM_GAUGE,
			   partition_figures[f].help);
		for (size_t i = 0; i < count; i++)
			put_partitions(topics[i], &p, partition_figures[f].get);
	}
	free(topics);
}

/* --- offsets of groups --- */

struct group_offsets {
	char *name;
	struct group_offset *offsets; /* by topic and partition */
	size_t count;
};

static int64_t lag_of(const struct group_offset *o)
{
	int64_t end = partition_high_watermark(o->partition);
	return end > o->offset ? end - o->offset : 0;
}

static int64_t offset_of(const struct group_offset *o)
{
	return o->offset;
}

static void put_group_partitions(const struct group_offsets *g, const struct prom *p,
				 int64_t (*get)(const struct group_offset *o))
{
	char index[16];

	for (size_t i = 0; i < g->count; i++) {
		const struct group_offset *o = &g->offsets[i];
		snprintf(index, sizeof index, "%d", partition_index(o->partition));
		struct prom_label labels[] = {
			{"consumergroup", slice_str(g->name)},
			{"topic", slice_str(topic_name(partition_topic(o->partition)))},
			{"partition", slice_str(index)}};
		prom_int(p, labels, 3, get(o));
	}
}

static void put_group_sums(const struct group_offsets *g, const struct prom *p,
			   int64_t (*get)(const struct group_offset *o))
{
	size_t i = 0;

	while (i < g->count) {
		struct topic *t = partition_topic(g->offsets[i].partition);
		int64_t sum = 0;
		for (; i < g->count && partition_topic(g->offsets[i].partition) == t; i++)
			sum += get(&g->offsets[i]);
		struct prom_label labels[] = {{"consumergroup", slice_str(g->name)},
					      {"topic", slice_str(topic_name(t))}};
		prom_int(p, labels, 2, sum);
	}
}

static const struct {
	const char *name, *help;
	void (*put)(const struct group_offsets *g, const struct prom *p,
		    int64_t (*get)(const struct group_offset *o));
	int64_t (*get)(const struct group_offset *o);
	bool is_detail;
} group_figures[] = {
	{"kafka_consumergroup_current_offset_sum", "What a group has committed, sum of a topic's.",
	 put_group_sums, offset_of, false},
	{"kafka_consumergroup_lag_sum", "How far a group is behind, sum of a topic's partitions.",
	 put_group_sums, lag_of, false},
	{"kafka_consumergroup_current_offset",
	 "What a group has committed: the next offset to read.", put_group_partitions, offset_of,
	 true},
	{"kafka_consumergroup_lag", "How far a group is behind the high watermark.",
	 put_group_partitions, lag_of, true},
};

static struct group_offsets *read_groups(struct broker *b, size_t *count, size_t *offsets)
{
	char **names = broker_groups(b, count);
	struct group_offsets *groups = xcalloc(*count ? *count : 1, sizeof *groups);

	*offsets = 0;
	for (size_t i = 0; i < *count; i++) {
		groups[i].name = names[i];
		/* One that was deleted meanwhile has none. */
		if (broker_group_offsets(b, names[i], &groups[i].offsets, &groups[i].count))
			groups[i].count = 0;
		*offsets += groups[i].count;
	}
	free(names);
	return groups;
}

static void put_group_offsets(struct broker *b, bool is_full, struct buf *out)
{
	size_t count, offsets;
	struct group_offsets *groups = read_groups(b, &count, &offsets);
	bool is_told = is_full || offsets <= METRICS_PARTITIONS_MAX;
	struct prom p;

	put_omitted(out, "ks_metrics_group_partitions_omitted", !is_told);
	for (size_t f = 0; f < sizeof group_figures / sizeof *group_figures; f++) {
		if (group_figures[f].is_detail && !is_told)
			continue;
		prom_begin(&p, out, group_figures[f].name, PROM_GAUGE, group_figures[f].help);
		for (size_t i = 0; i < count; i++)
			group_figures[f].put(&groups[i], &p, group_figures[f].get);
	}
	for (size_t i = 0; i < count; i++) {
		free(groups[i].name);
		free(groups[i].offsets);
	}
	free(groups);
}

void metrics_text_groups(struct broker *b, bool is_full, struct buf *out)
{
	metrics_text_members(b, out);
	put_group_offsets(b, is_full, out);
}

/* fuzz_groups.c - any bytes as what is stored of a group, and as what a member's metadata says of
 * its topics.
 *
 * The first byte chooses. What is read must be written as the same bytes again, and must make a
 * group or be refused.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "groups/record.h"
#include "groups/regex.h"
#include "groups/subscription.h"

static void require(bool condition)
{
	if (!condition)
		abort();
}

static uint64_t no_version(void *self)
{
	(void)self;
	return 0;
}

static bool no_topic(void *self, struct slice name, struct assign_topic *topic)
{
	(void)self;
	(void)name;
	(void)topic;
	return false;
}

static void no_match(void *self, struct slice regex,
		     void (*each)(void *arg, const struct assign_topic *topic), void *arg)
{
	(void)self;
	(void)regex;
	(void)each;
	(void)arg;
}

static const struct moment now = {1000, 1700000000000};

static void try_classic(struct slice value)
{
	static const struct classic_options options = {3000, 300000, 100};
	struct classic_effects fx = {0};
	struct classic_record r;
	struct deadlines deadlines = {0};
	struct arena arena = {0};
	struct buf again = {0};

	if (classic_record_decode(value, &arena, &r)) {
		classic_record_encode(&again, &r);
		require(slice_equal(value, buf_slice(&again)));
		struct classic_group *g = classic_new(&options, &deadlines, NULL, 0);
		if (classic_restore(g, &r, &now))
			classic_end(g, ERR_NOT_COORDINATOR, &fx);
		require(fx.count == 0);
		classic_free(g);
		require(deadlines.count == 0);
	}
	deadlines_fini(&deadlines);
	arena_fini(&arena);
	buf_fini(&again);
}

static void try_group(struct slice value)
{
	struct consumer_group_record r;
	struct arena arena = {0};
	struct buf again = {0};

	if (consumer_group_record_decode(value, &arena, &r)) {
		consumer_group_record_encode(&again, &r);
		require(slice_equal(value, buf_slice(&again)));
	}
	arena_fini(&arena);
	buf_fini(&again);
}

static void try_member(struct slice value)
{
	static const struct topic_source source = {no_version, no_topic, no_match, NULL};
	static const struct consumer_options options = {
		45000, 100, {(const uint8_t *)"range", 5}, &source};
	struct consumer_member m = {.id = slice_str("m")};
	struct consumer_group_record group = {.epoch = INT32_MAX, .target_epoch = 1};
	struct deadlines deadlines = {0};
	struct buf again = {0};

	if (!consumer_member_decode(value, &m))
		return;
	consumer_member_encode(&again, &m);
	require(slice_equal(value, buf_slice(&again)));
	struct consumer_group *g = consumer_new(&options, &deadlines, NULL, 0);
	require(consumer_restore(g, &group));
	if (consumer_restore_member(g, &m))
		consumer_restored(g, &now);
	consumer_free(g);
	require(deadlines.count == 0);
	consumer_member_record_fini(&m);
	deadlines_fini(&deadlines);
	buf_fini(&again);
}

static void try_key(struct slice key)
{
	enum group_record_type type;
	struct slice group, member;
	struct buf again = {0};

	if (group_record_key_decode(key, &type, &group, &member)) {
		group_record_key(&again, type, group, member);
		require(slice_equal(key, buf_slice(&again)));
	}
	buf_fini(&again);
}

static void try_subscription(struct slice metadata)
{
	struct names topics = {0};

	subscription_topics(metadata, &topics);
	names_settle(&topics);
	names_fini(&topics);
}

static void try_regex(struct slice pattern)
{
	struct ks_why why;
	struct regex *r = regex_new(pattern, &why);

	if (r)
		regex_matches(r, slice_str("orders-2024.eu_west"));
	regex_free(r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct slice rest = slice_of(data + 1, size - 1);
	switch (data[0]) {
	case 'c':
		try_classic(rest);
		break;
	case 'g':
		try_group(rest);
		break;
	case 'm':
		try_member(rest);
		break;
	case 'k':
		try_key(rest);
		break;
	case 's':
		try_subscription(rest);
		break;
	case 'r':
		try_regex(rest);
		break;
	}
	return 0;
}

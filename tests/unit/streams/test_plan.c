/* The planner: what is wrong is said with its place; where flows are cut; what is printed. */
#include "tests/unit/streams/rig.h"

#include <unistd.h>

static void assert_report(struct job *j, const char *expected)
{
	struct buf report = {0};
	struct plan *p = NULL;

	assert_int_equal(plan_make(j, NULL, &p, &report), ERR_SCRIPT);
	assert_null(p);
	assert_string_equal(buf_cstr(&report), expected);
	buf_fini(&report);
}

static struct plan *plan_of(struct job *j)
{
	struct buf report = {0};
	struct plan *p = NULL;

	if (plan_make(j, NULL, &p, &report))
		fail_msg("%s", buf_cstr(&report));
	buf_fini(&report);
	return p;
}

static int setup(void **state)
{
	*state = job_make("shop");
	return 0;
}

static int teardown(void **state)
{
	job_free(*state);
	return 0;
}

static void an_undeclared_topic_is_an_error_with_a_guess(void **state)
{
	struct job *j = *state;

	job_topic(j, "orders", 1);
	job_topic(j, "orders.small", 1);
	step_topic(&job_flow(j, "f", "orders")->steps, "orders.smal");
	assert_report(j, "job.lua:10: topic \"orders.smal\" is not declared\n"
			 "  did you mean \"orders.small\"?\n");
}

static void an_error_shows_the_line_of_the_script(void **state)
{
	struct job *j = *state;
	char path[] = "/tmp/ks-plan-XXXXXX";
	int fd = mkstemp(path);

	assert_true(fd >= 0);
	dprintf(fd, "one\ntwo\n\t{ ks.to \"orders.smal\" },\n");
	close(fd);
	free(j->script_path);
	j->script_path = xstrdup(path);
	job_topic(j, "orders", 1);
	job_topic(j, "orders.small", 1);
	struct step *s = step_topic(&job_flow(j, "f", "orders")->steps, "orders.smal");
	free(s->where);
	s->where = xasprintf("%s:3", strrchr(path, '/') + 1);
	char *expected = xasprintf("%s:3: topic \"orders.smal\" is not declared\n"
				   "    3 | \t{ ks.to \"orders.smal\" },\n"
				   "        \t        ^ did you mean \"orders.small\"?\n",
				   strrchr(path, '/') + 1);
	assert_report(j, expected);
	free(expected);
	unlink(path);
}

static void all_problems_are_found_at_once(void **state)
{
	struct job *j = *state;
	struct flow *f = job_flow(j, "f", "in");

	step_add(&f->steps, STEP_COUNT);
	step_add(&f->steps, STEP_COUNT);
	step_path(&f->steps, STEP_REKEY, "a[");
	step_add(&f->steps, STEP_MAP);
	policy_dead_letter(&j->on_error, "in");
	job_flow(j, "g", "shop-f-repartition");
	struct buf report = {0};
	struct plan *p;
	assert_int_equal(plan_make(j, NULL, &p, &report), ERR_SCRIPT);
	const char *text = buf_cstr(&report);
	assert_non_null(strstr(text, "job.lua:11: store \"flow.count\" is there already, at "
				     "job.lua:10\n  give each a name with as=\n"));
	assert_non_null(strstr(text, "job.lua:12: \"a[\" is not a path: "));
	assert_non_null(strstr(text, "job.lua:13: map needs a function\n"));
	assert_non_null(strstr(text, "job.lua:2: topic \"shop-f-repartition\" is internal"));
	assert_non_null(strstr(text, "job.lua:2: flow \"g\" has no steps\n"));
	assert_non_null(strstr(text, "job.lua:1: the job reads its own dead letters \"in\""));
	buf_fini(&report);
}

static void nothing_comes_after_a_split_or_its_else(void **state)
{
	struct job *j = *state;
	struct flow *f = job_flow(j, "f", "in");
	struct step *s = step_add(&f->steps, STEP_SPLIT);

	step_topic(&step_branch(s, FN_NONE)->steps, "a");
	step_topic(&step_branch(s, 0)->steps, "b");
	step_topic(&f->steps, "c");
	assert_report(j, "job.lua:10: nothing can come after a split\n"
			 "  put the steps that follow into the branches\n"
			 "job.lua:20: a branch without `when` takes everything: those behind it "
			 "are never reached\n"
			 "  put it last\n");
}

static void topics_of_state_must_be_cut_alike(void **state)
{
	struct job *j = *state;
	job_topic(j, "six", 6);
	job_topic(j, "three", 3);
	struct flow *f = job_flow(j, "f", "six");

	flow_from(f, "three");
	step_add(&f->steps, STEP_COUNT);
	assert_report(j,
		      "job.lua:2: topic \"six\" has 6 partitions and \"three\" has 3: equal keys "
		      "would not meet\n"
		      "  put ks.rekey or ks.group by something before the state\n");
}

static void a_flow_is_cut_before_the_first_state_behind_a_new_key(void **state)
{
	struct job *j = *state;
	struct step_list *steps = &job_flow(j, "f", "in")->steps;

	step_path(steps, STEP_REKEY, "id");
	step_path(steps, STEP_FILTER, "ok");
	step_add(steps, STEP_COUNT);
	step_fn(steps, STEP_MAP, 0);
	step_path(steps, STEP_GROUP, "other");
	step_store(step_add(steps, STEP_COUNT), "second");
	step_topic(steps, "out");
	struct plan *p = plan_of(j);
	assert_int_equal(p->piece_count, 3);
	assert_int_equal(p->group_count, 3);
	assert_null(p->pieces[0].source);
	assert_int_equal(p->pieces[0].step_end, 2);
	assert_string_equal(p->pieces[0].sink, "shop-f-repartition");
	assert_string_equal(p->pieces[1].source, "shop-f-repartition");
	assert_int_equal(p->pieces[1].step_end, 5);
	assert_string_equal(p->pieces[2].source, "shop-f-repartition-2");
	assert_null(p->pieces[2].sink);
	assert_null(plan_cut_at(p, steps, 1));
	assert_string_equal(plan_cut_at(p, steps, 2), "shop-f-repartition");
	plan_free(p);
}

static void a_new_key_without_state_is_no_cut(void **state)
{
	struct job *j = *state;
	struct step_list *steps = &job_flow(j, "f", "in")->steps;

	step_add(steps, STEP_COUNT);
	step_path(steps, STEP_REKEY, "id");
	step_topic(steps, "out");
	struct plan *p = plan_of(j);
	assert_int_equal(p->piece_count, 1);
	plan_free(p);
}

static void flows_with_a_common_topic_form_a_group(void **state)
{
	struct job *j = *state;

	step_topic(&job_flow(j, "a", "one")->steps, "out");
	step_topic(&job_flow(j, "b", "two")->steps, "out");
	step_topic(&job_flow(j, "c", "three")->steps, "out");
	struct flow *d = job_flow(j, "d", "three");
	flow_from(d, "one");
	step_topic(&d->steps, "out");
	struct flow *e = job_flow(j, "e", NULL);
	e->pattern = xstrdup("^four$");
	step_topic(&e->steps, "out");
	struct plan *p = plan_of(j);
	assert_int_equal(p->group_count, 3);
	assert_int_equal(p->pieces[0].group, 0);
	assert_int_equal(p->pieces[1].group, 1);
	assert_int_equal(p->pieces[2].group, 0);
	assert_int_equal(p->pieces[3].group, 0);
	assert_int_equal(p->pieces[4].group, 2);
	plan_free(p);
}

static struct job *shop(struct job *j)
{
	job_topic(j, "orders", 6);
	job_topic(j, "totals", 0);
	job_topic(j, "bad", 1);
	struct flow *f = job_flow(j, "per_customer", "orders");
	step_path(&f->steps, STEP_GROUP, "customer.id");
	struct step *s = step_add(&f->steps, STEP_SPLIT);
	struct branch *b = step_branch(s, FN_NONE);
	b->when_path = xstrdup("kind");
	b->when_equals = xstrdup("\"sale\"");
	step_store(step_path(&b->steps, STEP_SUM, "cents"), "totals");
	step_topic(&b->steps, "totals");
	step_topic(&step_branch(s, FN_NONE)->steps, "bad");
	return j;
}

static void assert_warnings(const struct job *j, size_t count, const char *expected)
{
	struct buf report = {0};

	assert_int_equal(plan_warn(j, &report), count);
	assert_string_equal(buf_cstr(&report), expected);
	buf_fini(&report);
}

static void flows_in_a_row_feed_nobody_twice(void **state)
{
	struct job *j = *state;

	step_topic(&job_flow(j, "a", "one")->steps, "two");
	step_topic(&job_flow(j, "b", "two")->steps, "three");
	step_topic(&job_flow(j, "c", "one")->steps, "three");
	assert_warnings(j, 0, "");
}

static void a_circle_of_flows_is_told_once(void **state)
{
	struct job *j = *state;

	step_topic(&job_flow(j, "a", "one")->steps, "two");
	step_topic(&job_flow(j, "b", "two")->steps, "three");
	step_topic(&job_flow(j, "c", "three")->steps, "one");
	assert_warnings(j, 1,
			"job.lua:10: warning: flow \"c\" writes to the topic \"one\", and flow "
			"\"a\" reads it and feeds this one: records go round, in an endless loop "
			"unless a step drops them\n  write to another topic\n");
}

static void what_an_earlier_job_makes_is_there_for_a_later_one(void **state)
{
	struct job *j = *state, *later = job_make("later");
	struct ks_why why = {""};

	job_topic(j, "orders", 6);
	step_topic(&job_flow(later, "f", "orders")->steps, "out");
	struct plan *p = plan_of(later);
	assert_int_equal(plan_admit(p, later, NULL, false, &why), ERR_SCRIPT);
	assert_string_equal(why.text,
			    "job.lua:2: there is no topic \"orders\"\ndeclare it in the job's "
			    "topics, or: ksrun topic create orders");
	assert_int_equal(plan_admit(p, later, NULL, true, &why), ERR_NONE);
	step_topic(&job_flow(j, "f", "orders")->steps, "orders.copy");
	job_topic(j, "orders.copy", 1);
	struct plan *earlier = plan_of(j);
	plan_after(p, earlier);
	assert_int_equal(plan_admit(p, later, NULL, false, &why), ERR_NONE);
	assert_int_equal(plan_topic_fate(&p->topics[0], NULL), PLAN_EXISTS);
	assert_int_equal(p->topics[0].partitions, 6);
	plan_free(earlier);
	plan_free(p);
	job_free(later);
}

static void the_plan_as_it_is_printed(void **state)
{
	struct job *j = shop(*state);
	struct plan *p = plan_of(j);
	struct buf out = {0};

	plan_print(p, j, NULL, &out);
	assert_string_equal(
		buf_cstr(&out),
		"job shop   exactly_once\n"
		"  flow per_customer\n"
		"    from orders\n"
		"    group \"customer.id\"                      job.lua:10\n"
		"    split                                    job.lua:11\n"
		"      when \"kind\" == \"sale\"\n"
		"        -- repartition through shop-per_customer-repartition\n"
		"        sum \"cents\"  [state totals]          job.lua:10\n"
		"        to totals                            job.lua:11\n"
		"      else\n"
		"        to bad                               job.lua:10\n"
		"  + topic orders                             6 partitions, string/json, read\n"
		"  + topic totals                             default partitions, string/json, "
		"written\n"
		"  + topic bad                                1 partition, string/json, written\n"
		"  + topic shop-per_customer-repartition      6 partitions, string/json, internal\n"
		"4 topics would be created.\n");
	buf_fini(&out);
	plan_free(p);
}

static void the_graph_as_text_and_for_graphviz(void **state)
{
	struct job *j = shop(*state);
	struct plan *p = plan_of(j);
	struct buf out = {0};

	plan_graph_text(p, j, &out);
	assert_string_equal(buf_cstr(&out),
			    "Topology: shop\n"
			    "  Sub-topology: 0\n"
			    "    Source: per_customer (topics: [orders])\n"
			    "      per_customer --> group1\n"
			    "      group1 --> split2\n"
			    "      split2 --> topic shop-per_customer-repartition\n"
			    "      split2 --> to1\n"
			    "      to1 --> topic bad\n"
			    "  Sub-topology: 1\n"
			    "    Source: per_customer (topics: [shop-per_customer-repartition])\n"
			    "      per_customer --> sum1\n"
			    "      sum1 --> to2\n"
			    "      to2 --> topic totals\n");
	buf_clear(&out);
	plan_graph_dot(p, j, &out);
	const char *dot = buf_cstr(&out);
	assert_non_null(strstr(dot, "digraph \"shop\" {\n"));
	assert_non_null(strstr(dot, "\t\"orders\" [shape=cylinder];\n"));
	assert_non_null(strstr(dot, "\t\"sum1\" -> \"to2\";\n"));
	buf_fini(&out);
	plan_free(p);
}

#define PLAN(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PLAN(an_undeclared_topic_is_an_error_with_a_guess),
		PLAN(an_error_shows_the_line_of_the_script),
		PLAN(all_problems_are_found_at_once),
		PLAN(nothing_comes_after_a_split_or_its_else),
		PLAN(topics_of_state_must_be_cut_alike),
		PLAN(a_flow_is_cut_before_the_first_state_behind_a_new_key),
		PLAN(a_new_key_without_state_is_no_cut),
		PLAN(flows_with_a_common_topic_form_a_group),
		PLAN(flows_in_a_row_feed_nobody_twice),
		PLAN(a_circle_of_flows_is_told_once),
		PLAN(what_an_earlier_job_makes_is_there_for_a_later_one),
		PLAN(the_plan_as_it_is_printed),
		PLAN(the_graph_as_text_and_for_graphviz),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

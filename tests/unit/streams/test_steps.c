/* Every step through a job of its own, functions in C. */
#include "tests/unit/streams/rig.h"

static enum ks_err is_large(struct fake_call *c)
{
	*c->truthy = c->r->value.bytes.len > 3;
	return ERR_NONE;
}

static enum ks_err to_length(struct fake_call *c)
{
	*c->value = (struct datum){.kind = DATUM_I64, .i64 = (int64_t)c->r->value.bytes.len};
	return ERR_NONE;
}

static void a_record_goes_through_filter_and_map_into_a_topic(void **state)
{
	static const fake_fn fns[] = {is_large, to_length};
	struct rig *r = *state;
	struct flow *f = job_flow(r->job, "f", "in");

	step_fn(&f->steps, STEP_FILTER, 0);
	step_fn(&f->steps, STEP_MAP, 1);
	step_topic(&f->steps, "out");
	r->fns = fns;
	rig_topic(r, "in", 1);
	rig_send(r, "in", "a", "12");
	rig_send(r, "in", "b", "12345");
	rig_pump(r);
	assert_topic(r, "out", 0, "b=5");
	assert_int_equal(rig_offset(r, "in", 0), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_record_goes_through_filter_and_map_into_a_topic),
		ROCKS(a_record_goes_through_filter_and_map_into_a_topic),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Every way in which two producers of one transactional id can run into each other and into a bad network.
 *
 * A model checker over the real code: txn/transaction.c, txn/defence.c and txn/producer.c, put together as the shard puts them
 * together, with two client instances that follow the protocol, each with two transactions. Whatever can happen next is tried:
 * a client sends, gives up waiting and sends again on a new connection; any request or answer that is on its way arrives, or
 * arrives and is also kept to arrive once more; a transaction times out; the id expires; the broker starts anew. What never
 * arrives is what was lost. Each rule() must hold after every step. States are remembered by their hash, so every state is
 * visited once.
 *
 * The coordinator's value lives in its stored form, and a step that does not say is_changed has its changes thrown away:
 * each state is also what a start would find.
 *
 * KS_LONG=1 allows more faults in a run: some 10^7 states.
 */
#include "txn_model.h"

static void search(const struct state *s);

/* The step is done in s: on to what follows. */
static void step(struct state *s, const char *what, const struct message *m)
{
	static const char *const requests[] = {"InitProducerId", "AddPartitions", "Produce",
					       "EndTxn"};

	run.steps++;
	if (m)
		snprintf(run.path[run.depth], sizeof run.path[0],
			 "%s: %c's %s%s of transaction %d, attempt %d, pair %d %d, err %d", what,
			 'A' + m->instance, m->is_answer ? "answer to " : "", requests[m->request],
			 m->transaction, m->attempt, m->id, m->epoch, m->err);
	else
		snprintf(run.path[run.depth], sizeof run.path[0], "%s", what);
	if (!run.broken)
		model_check(s);
	if (run.broken || !model_remember(s))
		return;
	assert(run.depth + 1 < DEPTH_MAX);
	run.depth++;
	search(s);
	if (!run.broken)
		run.depth--;
}

static void deliver_request(struct state *s, const struct message *m)
{
	struct message answer = *m;

	answer.is_answer = 1;
	if (m->request == INIT)
		answer.err = (int16_t)shard_serve_init(s, m, &answer);
	else if (m->request == ADD)
		answer.err = (int16_t)shard_serve_add(s, m);
	else if (m->request == PRODUCE)
		answer.err = (int16_t)(model_is_group(m->partition) ? shard_serve_offsets(s, m)
								    : shard_serve_produce(s, m));
	else
		answer.err = (int16_t)shard_serve_end(s, m, &answer);
	model_post(s, &answer);
}

static void deliver_answer(struct state *s, const struct message *m)
{
	if (!model_is_awaited(s, m))
		return;
	if (m->err)
		client_failed(s, m->instance, m);
	else
		client_succeeded(s, m->instance, m);
}

static void network_steps(const struct state *s)
{
	for (int i = 0; i < s->message_count && !run.broken; i++) {
		const struct message m = s->messages[i];
		struct state next = *s;
		if (m.is_answer) {
			model_take_out(&next, i);
			deliver_answer(&next, &m);
			step(&next, "arrives", &m);
			continue;
		}
		model_take_out(&next, i);
		deliver_request(&next, &m);
		step(&next, "arrives", &m);
		if (run.broken || s->duplicates == run.model->duplicates)
			continue;
		next = *s;
		next.duplicates++;
		deliver_request(&next, &m);
		step(&next, "arrives, and will again", &m);
	}
}

/* A client that waits: it may give up waiting. */
static void waiting_steps(const struct state *s, int instance)
{
	struct state next = *s;
	struct client *c = &next.clients[instance];

	if (s->resends < run.model->resends) {
		next.resends++;
		c->attempt++;
		c->connection = client_connect(&next);
		client_send(&next, instance);
		step(&next, instance ? "B sends again" : "A sends again", NULL);
	}
	if (run.broken || c->request != PRODUCE || s->give_ups == run.model->give_ups)
		return;
	next = *s;
	next.give_ups++;
	/* Nobody knows whether the batch will come: its sequence number must not be used again. */
	c->must_resume = run.model->versions[instance][c->transaction] == 1;
	c->connection = client_connect(&next);
	client_end(&next, instance, ABORT);
	step(&next, instance ? "B gives its batch up" : "A gives its batch up", NULL);
}

static void idle_steps(const struct state *s, int instance)
{
	struct state next = *s;
	struct client *c = &next.clients[instance];

	if (c->number == 0) {
		c->connection = client_connect(&next);
		client_begin(&next, instance, INIT);
		step(&next, instance ? "B starts" : "A starts", NULL);
		return;
	}
	if (c->request == END && c->outcome == NONE && c->told[c->transaction] == NONE &&
	    c->acked[c->transaction]) {
		client_end(&next, instance, COMMIT);
		step(&next, instance ? "B commits" : "A commits", NULL);
		if (run.broken)
			return;
		next = *s;
		client_end(&next, instance, ABORT);
		step(&next, instance ? "B aborts" : "A aborts", NULL);
		if (run.broken || !run.model->has_misuse)
			return;
		next = *s;
		c->is_misusing = c->has_misused = 1;
		client_begin(&next, instance, INIT);
		step(&next, instance ? "B forgets its transaction" : "A forgets its transaction",
		     NULL);
		return;
	}
	client_begin_transaction(&next, instance);
	step(&next, instance ? "B begins" : "A begins", NULL);
	if (run.broken || s->resumes == run.model->resumes)
		return;
	next = *s;
	next.resumes++;
	c->is_resuming = 1;
	client_begin(&next, instance, INIT);
	step(&next, instance ? "B resumes" : "A resumes", NULL);
}

static void time_steps(const struct state *s)
{
	struct state next = *s;
	struct transaction t;
	struct transaction_effects fx;

	model_load(s, &t);
	if (transaction_deadline(&t) < INT64_MAX && s->timeouts < run.model->timeouts) {
		next.timeouts++;
		next.is_out = true;
		transaction_abort(&t, NOW_MS, &fx);
		shard_carry_out(&next, &t, &fx);
		step(&next, "the transaction times out", NULL);
	} else if (transaction_expiry(&t, 1) < INT64_MAX && s->expiries < run.model->expiries) {
		next.expiries++;
		next.has_expired = 1;
		transaction_expire(&t, NOW_MS, &fx);
		shard_carry_out(&next, &t, &fx);
		step(&next, "the id expires", NULL);
	} else {
		transaction_fini(&t);
	}
}

static void restart_step(const struct state *s)
{
	struct state next = *s;

	if (s->restarts == run.model->restarts)
		return;
	next.restarts++;
	memset(next.newest, 0, sizeof next.newest);
	memset(next.messages, 0, sizeof next.messages);
	next.message_count = 0;
	step(&next, "the broker starts anew", NULL);
}

/* Nothing can happen any more but that somebody new comes: that must do, and leave nothing open. */
static void last_step(const struct state *s)
{
	struct state next = *s;
	const struct message m = {.request = INIT, .instance = 1, .epoch = -1, .connection = 250};
	struct message answer = m;

	run.ends++;
	rule(shard_serve_init(&next, &m, &answer) == ERR_NONE, "a new instance can always begin");
	for (int p = 0; p < model_parts(); p++)
		for (int i = 0; i < next.logs[p].count; i++)
			rule(next.logs[p].records[i].fate != NONE, "nothing stays open for ever");
}

static void search(const struct state *s)
{
	const size_t before = run.steps;

	network_steps(s);
	for (int i = 0; i < INSTANCES && !run.broken; i++) {
		if (s->clients[i].where == IDLE)
			idle_steps(s, i);
		else if (s->clients[i].where == WAITING)
			waiting_steps(s, i);
	}
	if (!run.broken)
		time_steps(s);
	if (!run.broken)
		restart_step(s);
	if (!run.broken && run.steps == before)
		last_step(s);
}

/* --- runs --- */

static void start(struct state *s)
{
	memset(s, 0, sizeof *s);
	s->next_connection = 1;
	s->next_id = FIRST_ID;
	s->holder = NOBODY;
	if (run.model->first_epoch == 0)
		return;
	/* As if many had been there before. */
	struct transaction t = TRANSACTION_NONE;
	struct transaction_effects fx = {.is_changed = true, .used_id = true};
	t.producer_id = FIRST_ID;
	t.producer_epoch = (int16_t)(run.model->first_epoch - 1);
	t.timeout_ms = 1000;
	t.update_ms = NOW_MS;
	s->max_id = FIRST_ID;
	s->max_epoch = t.producer_epoch;
	shard_carry_out(s, &t, &fx);
}

static void explore(const struct model *m)
{
	struct state s;

	run.model = m;
	run.seen_count = run.steps = run.ends = 0;
	run.depth = 0;
	run.broken = NULL;
	free(run.seen);
	run.seen = NULL;
	run.seen_cap = 0;
	start(&s);
	model_remember(&s);
	search(&s);
	print_message("%s: %zu states, %zu steps, %zu ends\n", m->name, run.seen_count, run.steps,
		      run.ends);
}

static void print_path(void)
{
	for (int i = 0; i <= run.depth; i++)
		print_message("%3d %s\n", i, run.path[i]);
}

/* All four transactions of one version. */
static struct model model_of(const char *name, uint8_t version)
{
	struct model m = {.name = name, .partitions = 1, .resends = 1};

	memset(m.versions, version, sizeof m.versions);
	return m;
}

static void must_hold(struct model m)
{
	const char *is_long = getenv("KS_LONG");

	if (is_long && *is_long == '1') {
		m.resends++;
		m.timeouts = 1;
	}
	explore(&m);
	if (!run.broken)
		return;
	print_path();
	fail_msg("%s: it does not hold that %s", m.name, run.broken);
}

static void requests_of_version_2_may_come_in_any_order_and_twice(void **state)
{
	struct model m = model_of("version 2", 2);

	(void)state;
	m.duplicates = 1;
	must_hold(m);
}

static void test_a1_version_1_holds_with_the_defence(void **state)
{
	struct model m = model_of("version 1", 1);

	(void)state;
	m.has_defence = true;
	m.timeouts = 1;
	must_hold(m);
}

static void test_a1_version_1_breaks_without_the_defence(void **state)
{
	struct model m = model_of("version 1, no defence", 1);

	(void)state;
	m.has_errors = true;
	explore(&m);
	assert_non_null(run.broken);
	assert_string_equal(run.broken,
			    "a record is committed only if its producer asked for that");
}

static void test_a2_a_batch_that_was_given_up_may_come_at_any_time(void **state)
{
	struct model m = model_of("version 1, given up", 1);

	(void)state;
	m.resends = 0;
	m.has_defence = true;
	m.give_ups = 1;
	must_hold(m);
	m = model_of("version 2, given up", 2);
	m.give_ups = 1;
	must_hold(m);
}

static void test_a4_two_partitions_end_alike(void **state)
{
	struct model m = model_of("two partitions", 2);

	(void)state;
	m.partitions = 2;
	must_hold(m);
}

static void test_a4_a_partition_and_the_offsets_of_a_group_end_alike(void **state)
{
	struct model m = model_of("a group", 2);

	(void)state;
	m.has_group = true;
	must_hold(m);
	m = model_of("a group, version 1", 1);
	m.resends = 0;
	m.give_ups = 1;
	m.has_group = m.has_defence = true;
	must_hold(m);
}

static void test_a10_epochs_end_at_any_time(void **state)
{
	struct model m = model_of("last epochs", 2);

	(void)state;
	m.first_epoch = LAST_EPOCH - 1;
	m.resumes = 1;
	m.timeouts = 1;
	must_hold(m);
}

static void test_a11_a_timeout_comes_at_any_time(void **state)
{
	struct model m = model_of("timeouts", 2);

	(void)state;
	m.timeouts = 1;
	must_hold(m);
}

static void test_a12_an_id_expires_at_any_time(void **state)
{
	struct model m = model_of("expiry", 2);

	(void)state;
	m.resends = 0;
	m.resumes = 1;
	m.expiries = 2;
	must_hold(m);
}

static void test_a14_init_comes_within_a_transaction(void **state)
{
	struct model m = model_of("misuse", 2);

	(void)state;
	m.has_misuse = true;
	must_hold(m);
}

static void test_a19_versions_mix(void **state)
{
	struct model m = model_of("a version each", 1);

	(void)state;
	m.has_defence = true;
	memset(m.versions[0], 2, sizeof m.versions[0]);
	must_hold(m);
	m.name = "from version 1 to 2";
	for (int i = 0; i < INSTANCES; i++) {
		m.versions[i][0] = 1;
		m.versions[i][1] = 2;
	}
	must_hold(m);
}

static void a_start_of_the_broker_comes_at_any_time(void **state)
{
	struct model m = model_of("restart", 1);

	(void)state;
	m.has_defence = true;
	m.restarts = 1;
	must_hold(m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(requests_of_version_2_may_come_in_any_order_and_twice),
		cmocka_unit_test(test_a1_version_1_holds_with_the_defence),
		cmocka_unit_test(test_a1_version_1_breaks_without_the_defence),
		cmocka_unit_test(test_a2_a_batch_that_was_given_up_may_come_at_any_time),
		cmocka_unit_test(test_a4_two_partitions_end_alike),
		cmocka_unit_test(test_a4_a_partition_and_the_offsets_of_a_group_end_alike),
		cmocka_unit_test(test_a10_epochs_end_at_any_time),
		cmocka_unit_test(test_a11_a_timeout_comes_at_any_time),
		cmocka_unit_test(test_a12_an_id_expires_at_any_time),
		cmocka_unit_test(test_a14_init_comes_within_a_transaction),
		cmocka_unit_test(test_a19_versions_mix),
		cmocka_unit_test(a_start_of_the_broker_comes_at_any_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* The producers of the model checker: two instances that follow the protocol. */
#include "txn_model.h"

/* The number of a new connection; without the defence it does not matter. */
uint8_t client_connect(struct state *s)
{
	return run.model->has_defence ? s->next_connection++ : 1;
}

/* Sends what the client is about to do, for the first time or again. */
void client_send(struct state *s, int instance)
{
	const struct client *c = &s->clients[instance];
	struct message m = {
		.request = c->request,
		.instance = (uint8_t)instance,
		.transaction = c->transaction,
		.partition = c->request == ADD || c->request == PRODUCE ? c->partition : 0,
		.attempt = c->attempt,
		.number = c->number,
		.connection = c->connection,
		.version = run.model->versions[instance][c->transaction],
		.outcome = c->request == END ? c->outcome : NONE,
		.sequence = c->request == PRODUCE ? c->sequences[c->partition] : 0,
		.id = c->id,
		.epoch = c->epoch,
		.incarnation = c->incarnation,
	};

	if (c->request == INIT && !c->is_resuming && !c->is_misusing) {
		m.id = m.incarnation = 0;
		m.epoch = -1;
	}
	s->clients[instance].where = WAITING;
	model_post(s, &m);
}

void client_begin(struct state *s, int instance, enum request request)
{
	struct client *c = &s->clients[instance];

	c->request = (uint8_t)request;
	c->number++;
	c->attempt = 0;
	client_send(s, instance);
}

void client_begin_transaction(struct state *s, int instance)
{
	s->clients[instance].partition = 0;
	client_begin(s, instance,
		     run.model->versions[instance][s->clients[instance].transaction] == 1
			     ? ADD
			     : PRODUCE);
}

static void take_pair(struct client *c, const struct message *m)
{
	if (m->id == c->id && m->epoch == c->epoch)
		return;
	c->id = m->id;
	c->epoch = m->epoch;
	memset(c->sequences, 0, sizeof c->sequences);
}

/* The next transaction, or the end of all. */
static void ended(struct state *s, int instance)
{
	struct client *c = &s->clients[instance];

	c->told[c->transaction] = c->outcome;
	c->outcome = NONE;
	if (c->transaction + 1 == TRANSACTIONS) {
		c->where = DONE;
		return;
	}
	bool is_upgrade = run.model->versions[instance][c->transaction] !=
			  run.model->versions[instance][c->transaction + 1];
	c->transaction++;
	if (c->must_resume || is_upgrade) {
		c->must_resume = 0;
		c->is_resuming = 1;
		client_begin(s, instance, INIT);
		return;
	}
	c->where = IDLE; /* it may resume all the same: see next_steps */
}

void client_end(struct state *s, int instance, int outcome)
{
	struct client *c = &s->clients[instance];

	c->outcome = (uint8_t)outcome;
	c->wanted[c->transaction] = (uint8_t)outcome;
	client_begin(s, instance, END);
}

/* The answer to the request that it waits for is an error. One who has the newest pair did nothing wrong, unless it forgot its
 * transaction: then nobody may have told it, when that had timed out, but its commit is refused. */
void client_failed(struct state *s, int instance, const struct message *m)
{
	struct client *c = &s->clients[instance];

	rule(!model_is_in(s, m->incarnation) || s->has_expired || c->has_misused ||
		     run.model->has_errors,
	     "the newest instance gets no errors");
	rule(s->holder != m->incarnation || s->has_expired || m->request != END ||
		     m->outcome != ABORT || m->version == 1 || run.model->has_errors,
	     "a producer whose transaction timed out may abort it");
	if (m->request == PRODUCE && m->err == ERR_INVALID_PRODUCER_EPOCH) {
		client_end(s, instance, ABORT);
		return;
	}
	c->where = STOPPED;
}

void client_succeeded(struct state *s, int instance, const struct message *m)
{
	struct client *c = &s->clients[instance];

	switch (m->request) {
	case INIT:
		take_pair(c, m);
		c->incarnation = m->incarnation;
		c->is_resuming = 0;
		if (c->is_misusing) /* it goes on as if nothing had been */
			client_end(s, instance, COMMIT);
		else
			client_begin_transaction(s, instance);
		c->is_misusing = 0;
		return;
	case ADD:
		if (++c->partition < model_parts()) {
			client_begin(s, instance, ADD);
			return;
		}
		c->partition = 0;
		client_begin(s, instance, PRODUCE);
		return;
	case PRODUCE:
		c->acked[c->transaction] |= (uint8_t)(1 << c->partition);
		c->sequences[c->partition]++;
		if (++c->partition < model_parts()) {
			client_begin(s, instance, PRODUCE);
			return;
		}
		c->where = IDLE; /* commit or abort: see next_steps */
		c->request = END;
		return;
	default:
		if (m->version == 2)
			take_pair(c, m);
		ended(s, instance);
	}
}

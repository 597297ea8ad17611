/* txn_model.h - what the model checker of transactions is made of: its states, and the parts that carry one into the next.
 *
 * txn_rules.c remembers states and holds them against the rules, txn_shard.c answers requests as the broker does, txn_clients.c
 * has the two producers, and test_transactions.c tries everything that can happen. There is one thread, and one run at a time.
 */
#ifndef TESTS_SIM_TXN_MODEL_H
#define TESTS_SIM_TXN_MODEL_H

#include "sim.h"

#include <assert.h>

#include "txn/defence.h"
#include "txn/producer.h"
#include "txn/transaction.h"

#define INSTANCES    2
#define TRANSACTIONS 2 /* of each instance */
#define PARTS_MAX    2 /* partitions, and the group */
#define MESSAGES_MAX 16
#define VALUE_MAX    160
#define LOG_MAX      10
#define IDS_MAX      5 /* producer ids that one partition meets */
#define DEPTH_MAX    200
#define FIRST_ID     1
#define NOW_MS       1
#define LAST_EPOCH   32766
#define NOBODY       0

/* What may happen in a run. */
struct model {
	const char *name;
	uint8_t versions[INSTANCES][TRANSACTIONS]; /* of the protocol */
	int partitions;
	bool has_group; /* its offsets are one part more: what they are sent with goes as Produce does */
	bool has_defence;
	int16_t first_epoch; /* of the instance that comes first */
	/* How often at most, in a run. */
	uint8_t resends, duplicates, give_ups, resumes, timeouts, expiries, restarts;
	bool has_misuse; /* an instance sends InitProducerId in the middle of a transaction */
	bool has_errors; /* errors where there should be none are not looked at */
};

enum request { INIT, ADD, PRODUCE, END, REQUESTS };
enum { NONE, COMMIT, ABORT };

struct message {
	uint8_t is_answer, request, instance, transaction, partition, attempt, number, connection;
	uint8_t version, outcome, sequence, id; /* id 0: none */
	uint8_t incarnation;
	int16_t epoch, err;
};

enum where { IDLE, WAITING, DONE, STOPPED };

struct client {
	uint8_t where, request, transaction, partition, outcome;
	uint8_t number, attempt; /* of the request under way */
	uint8_t id, incarnation;
	uint8_t connection;
	uint8_t must_resume, is_resuming, is_misusing, has_misused;
	uint8_t sequences[PARTS_MAX];
	int16_t epoch;
	/* What it wanted and what it was told, of each transaction. */
	uint8_t wanted[TRANSACTIONS], told[TRANSACTIONS], acked[TRANSACTIONS];
};

struct record {
	uint8_t instance, transaction, id, fate; /* fate: NONE while its transaction is open */
};

struct log {
	uint8_t count, id_count;
	struct record records[LOG_MAX];
	struct {
		uint8_t id, len, value[VALUE_PRODUCER_BYTES_MAX];
	} producers[IDS_MAX];
};

/* Compared and hashed as bytes: all of it was zero at first, and there is no padding that is ever written. */
struct state {
	uint8_t value_len, value[VALUE_MAX]; /* len 0: the id is unknown */
	uint8_t newest[DEFENCE_KINDS];       /* connections */
	uint8_t next_connection, next_id;
	/* Every InitProducerId without a pair that arrives makes a new incarnation, even a repeated one; a client is the one whose
	 * answer it got. */
	uint8_t incarnations;
	uint8_t holder; /* of the newest pair: an incarnation, or NOBODY */
	uint8_t is_out; /* it has been fenced by a timeout, and may come back */
	uint8_t max_id; /* the newest pair that was ever given out */
	uint8_t resends, duplicates, give_ups, resumes, timeouts, expiries, restarts;
	uint8_t has_expired;
	uint8_t message_count;
	int16_t max_epoch;
	struct client clients[INSTANCES];
	struct message messages[MESSAGES_MAX];
	struct log logs[PARTS_MAX];
};

/* What a run has seen so far. */
struct run {
	const struct model *model;
	uint64_t *seen; /* hashes; 0: free */
	size_t seen_cap, seen_count;
	size_t steps, ends; /* transitions; states in which nothing can happen any more */
	bool is_end_v1;     /* what is being carried out */
	const char *broken; /* the rule; NULL: none */
	char path[DEPTH_MAX][96];
	int depth;
};

extern struct run run;

/* The group of a model that has one. */
extern const struct slice model_group;

/* The first rule that does not hold ends the run. */
#define rule(holds, sentence)                                                                      \
	do {                                                                                       \
		if (!(holds) && !run.broken)                                                       \
			run.broken = sentence;                                                     \
	} while (0)

/* Whether it was not seen before. Throws away what can make no difference any more. */
bool model_remember(struct state *s);

/* Message i is no longer under way. */
void model_take_out(struct state *s, int i);

/* The client still waits for this answer. */
bool model_is_awaited(const struct state *s, const struct message *m);

/* Another message is under way. */
void model_post(struct state *s, const struct message *m);

/* Partitions, and the group behind them. */
int model_parts(void);
bool model_is_group(int part);

/* The coordinator's value as a start would read it. Release it with transaction_fini(). */
void model_load(const struct state *s, struct transaction *t);

/* It has the newest pair, and may use it. */
bool model_is_in(const struct state *s, uint8_t incarnation);

/* Every rule about what lies still. */
void model_check(const struct state *s);

/* Writes what a function of the machine made of t, and releases both. */
void shard_carry_out(struct state *s, struct transaction *t, struct transaction_effects *fx);

/* What the broker answers to one request; answer: what it says beside the error. */
enum ks_err shard_serve_init(struct state *s, const struct message *m, struct message *answer);
enum ks_err shard_serve_add(struct state *s, const struct message *m);
enum ks_err shard_serve_produce(struct state *s, const struct message *m);
enum ks_err shard_serve_offsets(struct state *s, const struct message *m);
enum ks_err shard_serve_end(struct state *s, const struct message *m, struct message *answer);

/* The number of a new connection; without the defence it does not matter. */
uint8_t client_connect(struct state *s);

/* Sends what the client is about to do, for the first time or again. */
void client_send(struct state *s, int instance);

/* Its next request, its next transaction, and the end of that: COMMIT or ABORT. */
void client_begin(struct state *s, int instance, enum request request);
void client_begin_transaction(struct state *s, int instance);
void client_end(struct state *s, int instance, int outcome);

/* The answer to the request that it waits for is there. */
void client_failed(struct state *s, int instance, const struct message *m);
void client_succeeded(struct state *s, int instance, const struct message *m);

#endif

/* A transactional id as it is stored, byte by byte, and what is refused as damaged. */
#include "transaction_rig.h"

static void states_have_kafkas_names(void **state)
{
	(void)state;
	assert_string_equal(transaction_state_name(TRANSACTION_EMPTY), "Empty");
	assert_string_equal(transaction_state_name(TRANSACTION_ONGOING), "Ongoing");
	assert_string_equal(transaction_state_name(TRANSACTION_COMPLETE_COMMIT), "CompleteCommit");
	assert_string_equal(transaction_state_name(TRANSACTION_COMPLETE_ABORT), "CompleteAbort");
	assert_string_equal(transaction_state_name(TRANSACTION_DEAD), "Dead");
	assert_string_equal(transaction_state_name((enum transaction_state)2), "Unknown");
}

static void a_key_holds_the_transactional_id(void **state)
{
	struct buf key = {0};
	struct slice id;

	(void)state;
	key_transaction(slice_str("my-app-0"), &key);
	assert_int_equal(key.len, 9);
	assert_memory_equal(key.data, "tmy-app-0", 9);
	assert_true(key_transaction_decode(buf_slice(&key), &id));
	assert_slice(id, "my-app-0");
	assert_false(key_transaction_decode(slice_str("t"), &id));
	assert_false(key_transaction_decode(slice_str("p123"), &id));
	buf_clear(&key);
	buf_append_u8(&key, 't');
	for (int i = 0; i < TRANSACTIONAL_ID_MAX; i++)
		buf_append_u8(&key, 'x');
	assert_true(key_transaction_decode(buf_slice(&key), &id));
	assert_int_equal(id.len, TRANSACTIONAL_ID_MAX);
	buf_append_u8(&key, 'x');
	assert_false(key_transaction_decode(buf_slice(&key), &id));
	buf_fini(&key);
}

static void a_value_has_the_bytes_that_the_documentation_says(void **state)
{
	static const uint8_t expected[] = {
		1, 1, 2,    0, /* version, Ongoing, protocol 2, not fenced */
		0, 0, 0,    0,    0,   0,    0,    100,  0, 5,       /* pair */
		0, 0, 0,    0,    0,   0,    0,    99,   0, 4,       /* last pair */
		0, 0, 0xea, 0x60,                                    /* timeout: 60,000 */
		0, 0, 0,    0,    0,   0x0f, 0x42, 0x40,             /* begun: 1,000,000 */
		0, 0, 0,    0,    0,   0x0f, 0x42, 0x41,             /* changed: 1,000,001 */
		0, 0, 0,    2,    0,   0,    0,    3,    0, 0, 1, 0, /* partitions 3 and 256 */
		0, 1, 0,    1,    'g',                               /* group g */
	};
	struct transaction t = TRANSACTION_NONE, read = TRANSACTION_NONE;
	struct buf value = {0};

	(void)state;
	assert_true(value_transaction_decode(slice_of(expected, sizeof expected), &t));
	assert_int_equal(t.state, TRANSACTION_ONGOING);
	assert_int_equal(t.producer_id, 100);
	assert_int_equal(t.producer_epoch, 5);
	assert_int_equal(t.last_producer_id, 99);
	assert_int_equal(t.last_producer_epoch, 4);
	assert_int_equal(t.timeout_ms, 60000);
	assert_int_equal(t.start_ms, 1000000);
	assert_int_equal(t.update_ms, 1000001);
	assert_true(transaction_parts_has_partition(&t.parts, 256));
	assert_true(transaction_parts_has_group(&t.parts, slice_str("g")));
	value_transaction(&t, &value);
	assert_int_equal(value.len, sizeof expected);
	assert_memory_equal(value.data, expected, sizeof expected);
	for (size_t len = 0; len < sizeof expected; len++)
		assert_false(value_transaction_decode(slice_of(expected, len), &read));
	buf_append_u8(&value, 0);
	assert_false(value_transaction_decode(buf_slice(&value), &read));
	buf_fini(&value);
	transaction_fini(&t);
}

static void a_damaged_value_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
	} damages[] = {
		{0, 2},     /* another version */
		{1, 2},     /* a state that there is not */
		{1, 0},     /* Empty, with partitions */
		{1, 200},   /* far outside */
		{2, 3},     /* protocol */
		{2, 0},     /* Ongoing, without a protocol */
		{3, 1},     /* Ongoing, and fenced */
		{3, 2},     /* no boolean */
		{4, 0x80},  /* producer id below 0 */
		{12, 0x80}, /* epoch below 0 */
		{14, 0xff}, /* last id below 0, and its epoch not */
		{24, 0x80}, /* timeout below 0 */
		{28, 0xff}, /* Ongoing, and never begun */
		{44, 0x7f}, /* many partitions */
		{55, 3},    /* partition 3 twice: see below */
		{57, 9},    /* more groups than there are */
		{59, 9},    /* a name that is too long for the value */
		{59, 0},    /* a group without a name */
	};
	struct transaction t = TRANSACTION_NONE;
	struct buf value = {0};
	struct world *w = *state;

	assert_int_equal(produce(w, 2, 100, 0, 3), ERR_NONE);
	assert_int_equal(produce(w, 2, 100, 0, 4), ERR_NONE);
	assert_int_equal(add_group(w, 2, "g"), ERR_NONE);
	w->t.last_producer_id = 1;
	w->t.last_producer_epoch = 1;
	value_transaction(&w->t, &value);
	assert_true(value_transaction_decode(buf_slice(&value), &t));
	transaction_fini(&t);
	for (size_t i = 0; i < sizeof damages / sizeof *damages; i++) {
		uint8_t *byte = &value.data[damages[i].at], before = *byte;
		*byte = damages[i].byte;
		if (value_transaction_decode(buf_slice(&value), &t))
			fail_msg("byte %zu = %u was accepted", damages[i].at, damages[i].byte);
		*byte = before;
	}
	/* Ongoing, with the epoch that no client has. */
	put_u16be(value.data + 12, 32767);
	assert_false(value_transaction_decode(buf_slice(&value), &t));
	buf_fini(&value);
}

static void groups_that_are_stored_out_of_order_are_refused(void **state)
{
	struct world *w = *state;
	struct transaction t = TRANSACTION_NONE;
	struct buf value = {0};

	assert_int_equal(add_group(w, 1, "a"), ERR_NONE);
	assert_int_equal(add_group(w, 1, "b"), ERR_NONE);
	value_transaction(&w->t, &value);
	uint8_t *a = &value.data[value.len - 4], *b = &value.data[value.len - 1];
	assert_int_equal(*a, 'a');
	assert_int_equal(*b, 'b');
	*a = 'c';
	assert_false(value_transaction_decode(buf_slice(&value), &t));
	*a = 'b';
	assert_false(value_transaction_decode(buf_slice(&value), &t));
	*a = 'a';
	assert_true(value_transaction_decode(buf_slice(&value), &t));
	transaction_fini(&t);
	buf_fini(&value);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		FRESH(states_have_kafkas_names),
		FRESH(a_key_holds_the_transactional_id),
		FRESH(a_value_has_the_bytes_that_the_documentation_says),
		PRODUCER(a_damaged_value_is_refused),
		PRODUCER(groups_that_are_stored_out_of_order_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

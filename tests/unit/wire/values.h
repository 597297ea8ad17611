/* values.h - messages of any table: made up, copied out of a wire_out, compared. For tests that go
 * through all tables instead of naming one message. */
#ifndef TESTS_UNIT_WIRE_VALUES_H
#define TESTS_UNIT_WIRE_VALUES_H

#include "wire/messages.h"

struct dice {
	uint64_t state;
};

/* A number below n. */
uint64_t dice_roll(struct dice *d, uint64_t n);
/* Takes KS_SEED from the environment, or now; prints it. */
struct dice dice_seeded(void);

enum value_style {
	VALUE_DEFAULT, /* nothing is set */
	VALUE_NULL,    /* null wherever the version allows it, the rest empty or zero */
	VALUE_FULL,    /* every field is set, every array and tagged field is there */
	VALUE_RANDOM,  /* a mix of these, now and then with the longest string that there may be */
};

/* Fills msg with what survives a round trip in this version: fields that the version lacks keep their
 * defaults. Memory comes from arena. */
void value_fill(struct dice *dice, enum value_style style, const struct wire_desc *d,
		int16_t version, struct arena *arena, void *msg);

/* Same fields, same bytes. Records are the same when their bytes are, in however many pieces; null is
 * the same as empty where the version knows no null. */
bool value_equal(const struct wire_desc *d, int16_t version, const void *a, const void *b);

/* All bytes of o in one piece, references included; appended to bytes. */
void out_flatten(const struct wire_out *o, struct buf *bytes);

/* The size of one element or value of the field. */
size_t value_size(const struct wire_field *f);

static inline bool field_is_in(const struct wire_field *f, int16_t version)
{
	return version >= f->since && (!f->until || version < f->until);
}

static inline bool field_knows_null(const struct wire_field *f, int16_t version)
{
	return f->null_since && version >= f->null_since - 1;
}

#endif

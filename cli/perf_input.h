/* perf_input.h - the records that every measurement and every comparison reads.
 *
 * Record i is a function of i and a seed alone, so that two engines can be given the same records,
 * any record can be made again to check an output against, and no file has to be kept. Its value
 * is one JSON object of a given size:
 *
 *   {"id":7,"type":"order","user":"u01234","country":"de","amount":123.45,"ts":1700000000007,
 *    "items":[{"sku":"A-123","qty":3},{"sku":"B-45","qty":2}],"note":"padding"}
 *
 * its key the user, its timestamp INPUT_TIME_BASE + i ms. Of a hundred records 60 are orders, 5
 * refunds, 25 clicks, 10 views. Small records lack "items", and the smallest "ts" as well.
 */
#ifndef CLI_PERF_INPUT_H
#define CLI_PERF_INPUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

#define INPUT_TIME_BASE        INT64_C(1700000000000)
#define INPUT_PARTITIONS       4
#define INPUT_RECORD_BYTES     256
#define INPUT_RECORD_BYTES_MIN 100
#define INPUT_RECORD_BYTES_MAX (1 << 20)
#define INPUT_USERS            10000
#define INPUT_USERS_MAX        10000000
#define INPUT_REPEAT_REACH     1000 /* a repeat lies at most so many records behind its original */

enum input_type { INPUT_ORDER, INPUT_REFUND, INPUT_CLICK, INPUT_VIEW, INPUT_TYPES };

struct input_spec {
	uint64_t seed;
	int32_t users;
	int32_t record_bytes;   /* of a value */
	int32_t repeat_percent; /* so many of a hundred records are an earlier one once more */
	bool is_distinct;       /* record i belongs to user i modulo users, not to a random one */
};

#define INPUT_SPEC_DEFAULT ((struct input_spec){1, INPUT_USERS, INPUT_RECORD_BYTES, 0, false})

struct input_record {
	int64_t id;        /* below i for a repeat, otherwise i */
	int64_t timestamp; /* of record i, also for a repeat */
	enum input_type type;
	int32_t user;
	int32_t first_sku;       /* "A-<first_sku>"; 100..999 */
	size_t country_at;       /* where its two letters lie in the value */
	struct slice key, value; /* in the maker: valid until its next record */
};

/* One per thread. */
struct input_maker {
	struct input_spec spec;
	uint8_t key[16];
	uint8_t *value; /* record_bytes + PAD_BYTES */
};

void input_maker_init(struct input_maker *m, const struct input_spec *spec);
void input_maker_fini(struct input_maker *m);
void input_make(struct input_maker *m, int64_t i, struct input_record *r);
/* The record that i repeats, at last; i itself for an original. */
int64_t input_original(const struct input_spec *s, int64_t i);
const char *input_type_name(enum input_type t);
/* "u01234": seven digits when there are more than 100,000 users. Returns the length, at most 15. */
size_t input_user_name(const struct input_spec *s, int32_t user, uint8_t *out);

#endif

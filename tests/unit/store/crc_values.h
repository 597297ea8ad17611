/* crc_values.h - a store with values of all lengths, some in tables, some in the log. */
#ifndef TESTS_UNIT_STORE_CRC_VALUES_H
#define TESTS_UNIT_STORE_CRC_VALUES_H

#include <stdio.h>
#include <string.h>

#include "store/store.h"

#define CRC_VALUES 300

static inline struct slice crc_value(int i, uint8_t out[CRC_VALUES * 40])
{
	for (int k = 0; k < i * 40; k++)
		out[k] = (uint8_t)(k * i >> 3);
	return slice_of(out, (size_t)i * 40);
}

static inline int crc_write(const char *dir)
{
	struct store_options o = {.create = true};
	struct store *s;
	uint8_t value[CRC_VALUES * 40];
	char key[16];

	if (store_open(dir, &o, &s, NULL))
		return 1;
	struct store_write *w = store_write_new(s);
	for (int i = 0; i < CRC_VALUES; i++) {
		snprintf(key, sizeof key, "%d", i);
		store_put(w, i % 2 ? CF_LOG : CF_STATE, slice_str(key), crc_value(i, value));
		if (store_commit(s, w, false, NULL) || (i == 200 && store_flush(s, NULL)))
			return 1;
	}
	store_write_free(w);
	store_close(s);
	return 0;
}

static inline int crc_read(const char *dir)
{
	struct store_options o = {0};
	struct store *s;
	uint8_t value[CRC_VALUES * 40];
	char key[16];
	int wrong = 0;

	if (store_open(dir, &o, &s, NULL))
		return 1;
	for (int i = 0; i < CRC_VALUES; i++) {
		struct buf b = {0};
		snprintf(key, sizeof key, "%d", i);
		enum ks_err err = store_get(s, i % 2 ? CF_LOG : CF_STATE, slice_str(key), &b);
		wrong += err || slice_compare(buf_slice(&b), crc_value(i, value)) != 0;
		buf_fini(&b);
	}
	store_close(s);
	return wrong > 0;
}

#endif

/* perf_input.c - see perf_input.h. */
#include "cli/perf_input.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char countries[20][2] = {"de", "fr", "it", "es", "pt", "nl", "be", "at", "ch", "pl",
				      "cz", "dk", "se", "no", "fi", "ie", "gb", "us", "jp", "br"};
static const char *const type_names[INPUT_TYPES] = {"order", "refund", "click", "view"};

/* The finaliser of splitmix64: makes neighbouring numbers independent. Never 0 here, because
 * xorshift would stay there. */
static uint64_t scramble(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	x ^= x >> 31;
	return x ? x : 1;
}

/* Marsaglia's xorshift64. */
static uint64_t draw(uint64_t *state)
{
	uint64_t x = *state;
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	return *state = x;
}

/* 0..n-1, from the upper bits: the lower ones of xorshift are the weaker. */
static uint32_t draw_below(uint64_t *state, uint32_t n)
{
	return (uint32_t)(((draw(state) >> 32) * n) >> 32);
}

void input_maker_init(struct input_maker *m, const struct input_spec *spec)
{
	assert(spec->record_bytes >= INPUT_RECORD_BYTES_MIN &&
	       spec->record_bytes <= INPUT_RECORD_BYTES_MAX);
	assert(spec->users > 0 && spec->users <= INPUT_USERS_MAX);
	m->spec = *spec;
	m->value = xcalloc(1, (size_t)spec->record_bytes + PAD_BYTES);
}

void input_maker_fini(struct input_maker *m)
{
	free(m->value);
}

const char *input_type_name(enum input_type t)
{
	return type_names[t];
}

int64_t input_original(const struct input_spec *s, int64_t i)
{
	while (i > 0 && s->repeat_percent > 0) {
		uint64_t state = scramble(s->seed * 31 + (uint64_t)i);
		if (draw_below(&state, 100) >= (uint32_t)s->repeat_percent)
			break;
		int64_t reach = i < INPUT_REPEAT_REACH ? i : INPUT_REPEAT_REACH;
		i -= 1 + draw_below(&state, (uint32_t)reach);
	}
	return i;
}

/* --- text: each function writes at p and returns the place behind --- */

static uint8_t *put_text(uint8_t *p, const char *text, size_t len)
{
	memcpy(p, text, len);
	return p + len;
}

#define PUT(p, literal) put_text(p, literal, sizeof(literal) - 1)

static uint8_t *put_number(uint8_t *p, uint64_t n, int digits_min)
{
	uint8_t text[20];
	int len = 0;

	do
		text[len++] = (uint8_t)('0' + n % 10);
	while ((n /= 10) || len < digits_min);
	while (len)
		*p++ = text[--len];
	return p;
}

size_t input_user_name(const struct input_spec *s, int32_t user, uint8_t *out)
{
	uint8_t *p = out;

	*p++ = 'u';
	p = put_number(p, (uint64_t)user, s->users > 100000 ? 7 : 5);
	return (size_t)(p - out);
}

static enum input_type draw_type(uint64_t *state)
{
	uint32_t n = draw_below(state, 100);
	return n < 60 ? INPUT_ORDER : n < 65 ? INPUT_REFUND : n < 90 ? INPUT_CLICK : INPUT_VIEW;
}

static uint8_t *put_items(uint8_t *p, int32_t first_sku, uint64_t *state)
{
	p = PUT(p, ",\"items\":[{\"sku\":\"A-");
	p = put_number(p, (uint64_t)first_sku, 1);
	p = PUT(p, "\",\"qty\":");
	p = put_number(p, 1 + draw_below(state, 9), 1);
	p = PUT(p, "},{\"sku\":\"B-");
	p = put_number(p, 10 + draw_below(state, 90), 1);
	p = PUT(p, "\",\"qty\":");
	p = put_number(p, 1 + draw_below(state, 9), 1);
	return PUT(p, "}]");
}

/* Letters a..p up to end, eight to a draw; may write seven bytes beyond it. */
static void put_padding(uint8_t *p, const uint8_t *end, uint64_t *state)
{
	for (; p < end; p += 8) {
		uint64_t letters =
			(draw(state) & UINT64_C(0x0f0f0f0f0f0f0f0f)) + UINT64_C(0x6161616161616161);
		memcpy(p, &letters, 8);
	}
}

static void make_value(struct input_maker *m, struct input_record *r, size_t key_len,
		       uint64_t *state)
{
	uint8_t *p = m->value, *end = m->value + m->spec.record_bytes;
	uint32_t cents = 1 + draw_below(state, 99999);

	p = PUT(p, "{\"id\":");
	p = put_number(p, (uint64_t)r->id, 1);
	p = PUT(p, ",\"type\":\"");
	p = put_text(p, type_names[r->type], strlen(type_names[r->type]));
	p = PUT(p, "\",\"user\":\"");
	p = put_text(p, (const char *)m->key, key_len);
	p = PUT(p, "\",\"country\":\"");
	r->country_at = (size_t)(p - m->value);
	p = put_text(p, countries[draw_below(state, 20)], 2);
	p = PUT(p, "\",\"amount\":");
	p = put_number(p, cents / 100, 1);
	*p++ = '.';
	p = put_number(p, cents % 100, 2);
	if (m->spec.record_bytes >= 128) {
		p = PUT(p, ",\"ts\":");
		p = put_number(p, (uint64_t)(INPUT_TIME_BASE + r->id), 1);
	}
	r->first_sku = 100 + (int32_t)draw_below(state, 900);
	if (m->spec.record_bytes >= 200)
		p = put_items(p, r->first_sku, state);
	p = PUT(p, ",\"note\":\"");
	assert(p + 2 <= end);
	put_padding(p, end - 2, state);
	PUT(end - 2, "\"}");
}

void input_make(struct input_maker *m, int64_t i, struct input_record *r)
{
	r->id = input_original(&m->spec, i);
	r->timestamp = INPUT_TIME_BASE + i;

	uint64_t state = scramble(m->spec.seed * UINT64_C(0x2545f4914f6cdd1d) + (uint64_t)r->id);
	r->type = draw_type(&state);
	int32_t user = (int32_t)draw_below(&state, (uint32_t)m->spec.users);
	r->user = m->spec.is_distinct ? (int32_t)(r->id % m->spec.users) : user;
	size_t key_len = input_user_name(&m->spec, r->user, m->key);
	make_value(m, r, key_len, &state);
	r->key = slice_of(m->key, key_len);
	r->value = slice_of(m->value, (size_t)m->spec.record_bytes);
}

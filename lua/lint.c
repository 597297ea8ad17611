/* lint.c - functions that keep state in Lua variables.
 *
 * A step's function that assigns a local from outside of it - or a field of a table it captured - keeps state that is
 * lost on restart, is not in the commit, and differs from thread to thread. Lua offers no look at a function's code
 * but string.dump's form, so that is read here: the prototypes' instructions and upvalue descriptions of Lua 5.4.
 * Whatever does not look as expected ends the search without a finding.
 */
#include <lauxlib.h>
#include <stdlib.h>

#include "lua/script_impl.h"

#define UPVALUES_MAX 255
#define REGISTERS    256
#define NESTED_MAX   50

/* The instructions that matter (lopcodes.h of 5.4). */
enum {
	OP_GETUPVAL = 9,
	OP_SETUPVAL = 10,
	OP_SETTABUP = 15,
	OP_SETTABLE = 16,
	OP_SETI = 17,
	OP_SETFIELD = 18
};

struct dump {
	const uint8_t *p, *end;
	bool bad;
};

/* Upvalues that a function assigns, by what was found. */
struct assigned {
	bool variable[UPVALUES_MAX + 1]; /* the variable itself */
	bool field[UPVALUES_MAX + 1];    /* a field of the table in it */
	int line;                        /* of the first finding */
};

static uint8_t byte(struct dump *d)
{
	if (d->p >= d->end) {
		d->bad = true;
		return 0;
	}
	return *d->p++;
}

static void skip(struct dump *d, size_t n)
{
	if (n > (size_t)(d->end - d->p)) {
		d->bad = true;
		n = (size_t)(d->end - d->p);
	}
	d->p += n;
}

/* Lua's own variable-length numbers: 7 bits each, most significant first, the last byte has the high bit. */
static size_t number(struct dump *d)
{
	size_t v = 0;
	uint8_t b;

	do {
		b = byte(d);
		v = v << 7 | (b & 0x7f);
	} while (!(b & 0x80) && !d->bad);
	return v;
}

static void skip_string(struct dump *d)
{
	size_t n = number(d);

	if (n > 0)
		skip(d, n - 1);
}

static void skip_constants(struct dump *d)
{
	size_t n = number(d);

	for (size_t i = 0; i < n && !d->bad; i++) {
		switch (byte(d)) {
		case 0x03: /* integer */
		case 0x13: /* float */
			skip(d, 8);
			break;
		case 0x04: /* strings */
		case 0x14:
			skip_string(d);
			break;
		default: /* nil, false, true */
			break;
		}
	}
}

static uint32_t instruction(const uint8_t *code, size_t i)
{
	uint32_t v;

	memcpy(&v, code + 4 * i, sizeof v);
	return v;
}

/* Walks the instructions in the order they stand; a register holds an upvalue from GETUPVAL until anything else
 * is written there. Comparisons and jumps write nothing, but forgetting too much only misses findings. */
static void scan_code(const uint8_t *code, size_t n, struct assigned *out)
{
	int held[REGISTERS];

	for (int i = 0; i < REGISTERS; i++)
		held[i] = -1;
	for (size_t i = 0; i < n; i++) {
		uint32_t v = instruction(code, i);
		unsigned op = v & 0x7f, a = v >> 7 & 0xff, b = v >> 16 & 0xff;

		if (op == OP_GETUPVAL)
			held[a] = (int)b;
		else if (op == OP_SETUPVAL)
			out->variable[b] = true;
		else if (op == OP_SETTABUP)
			out->field[a] = true;
		else if (op == OP_SETTABLE || op == OP_SETI || op == OP_SETFIELD) {
			if (held[a] >= 0)
				out->field[held[a]] = true;
		} else {
			held[a] = -1;
		}
	}
}

static void scan_function(struct dump *d, struct assigned *out, int depth);

/* Findings of a function within: those upvalues that it shares with the one around it. */
static void merge_nested(const struct assigned *in, const uint8_t *upvalues, size_t n,
			 struct assigned *out)
{
	for (size_t i = 0; i < n && i <= UPVALUES_MAX; i++) {
		bool in_stack = upvalues[3 * i] != 0;
		uint8_t index = upvalues[3 * i + 1];

		if (in_stack)
			continue; /* a local of the function around: made anew for each call */
		out->variable[index] |= in->variable[i];
		out->field[index] |= in->field[i];
	}
}

static void skip_debug(struct dump *d)
{
	size_t n = number(d); /* line deltas */

	skip(d, n);
	n = number(d);
	for (size_t i = 0; i < n && !d->bad; i++) {
		(void)number(d);
		(void)number(d);
	}
	n = number(d); /* locals */
	for (size_t i = 0; i < n && !d->bad; i++) {
		skip_string(d);
		(void)number(d);
		(void)number(d);
	}
	n = number(d); /* upvalue names */
	for (size_t i = 0; i < n && !d->bad; i++)
		skip_string(d);
}

/* Reads one prototype: into *out what it assigns of its own upvalues. *upvalues, *count: where they come from. */
static void read_function(struct dump *d, struct assigned *out, const uint8_t **upvalues,
			  size_t *count, int depth)
{
	size_t n;

	skip_string(d); /* source */
	(void)number(d);
	(void)number(d);
	skip(d, 3);
	n = number(d);
	if (n > (size_t)(d->end - d->p) / 4)
		d->bad = true;
	if (d->bad || depth > NESTED_MAX) {
		d->bad = true;
		return;
	}
	scan_code(d->p, n, out);
	skip(d, 4 * n);
	skip_constants(d);
	*count = number(d);
	*upvalues = d->p;
	if (*count > UPVALUES_MAX)
		d->bad = true;
	skip(d, 3 * *count);
	n = number(d);
	for (size_t i = 0; i < n && !d->bad; i++)
		scan_function(d, out, depth + 1);
	skip_debug(d);
}

static void scan_function(struct dump *d, struct assigned *out, int depth)
{
	struct assigned *inner = xcalloc(1, sizeof *inner);
	const uint8_t *upvalues = NULL;
	size_t count = 0;

	read_function(d, inner, &upvalues, &count, depth);
	if (!d->bad)
		merge_nested(inner, upvalues, count, out);
	free(inner);
}

static int write_dump(lua_State *L, const void *p, size_t n, void *out)
{
	(void)L;
	buf_append(out, p, n);
	return 0;
}

#define DUMP_HEADER_BYTES 31 /* signature, version, format, data, sizes, an integer and a float */

static int report_finding(lua_State *L, struct report *r, const char *upvalue, bool is_field)
{
	lua_Debug ar;
	char *where, *at;
	int found = 0;

	lua_pushvalue(L, -1);
	lua_getinfo(L, ">S", &ar);
	if (ar.source[0] == '@' && strcmp(upvalue, "_ENV") != 0) {
		where = xasprintf("%s:%d", ar.source + 1, ar.linedefined);
		at = report_locate(where, upvalue, ar.lastlinedefined - ar.linedefined + 1);
		report_warning(r, at, upvalue, NULL,
			       "this function changes %s\"%s\", a variable from outside: such "
			       "state is lost on restart "
			       "and differs per thread; keep it with ks.process or ks.aggregate",
			       is_field ? "the table " : "", upvalue);
		free(where);
		free(at);
		found = 1;
	}
	return found;
}

int lint_function(lua_State *L, struct report *r)
{
	struct buf text = {0};
	struct assigned *out = xcalloc(1, sizeof *out);
	const uint8_t *upvalues;
	size_t count = 0;
	int found = 0;
	struct dump d;

	if (!lua_iscfunction(L, -1) && lua_dump(L, write_dump, &text, 0) == 0 &&
	    text.len > DUMP_HEADER_BYTES + 1) {
		d = (struct dump){text.data + DUMP_HEADER_BYTES + 1, text.data + text.len, false};
		read_function(&d, out, &upvalues, &count, 0);
		for (size_t i = 0; !d.bad && i < count; i++) {
			const char *name = lua_getupvalue(L, -1, (int)i + 1);

			if (!name)
				continue;
			lua_pop(L, 1);
			if (out->variable[i] || out->field[i])
				found += report_finding(L, r, name, !out->variable[i]);
		}
	}
	free(out);
	buf_fini(&text);
	return found;
}

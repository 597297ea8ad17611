/* match.c - see match.h.
 *
 * A pattern becomes a list of items: single characters with a quantity, captures, and the rest.
 * Captures nest by position in the pattern, so which one ")" closes and what %1 means are known
 * when compiling. The matcher walks the items; it recurses where it may have to come back: at
 * quantities and captures. Depth is therefore bounded by the pattern, not by the subject.
 */
#include "lua/match.h"

#include <string.h>

enum op {
	OP_END,      /* the pattern is over: a match */
	OP_EOS,      /* $ */
	OP_CHAR,     /* a */
	OP_ANY,      /* . */
	OP_SET,      /* %a, [set]: bitmap */
	OP_OPEN,     /* ( */
	OP_POSITION, /* () */
	OP_CLOSE,    /* ) of capture a */
	OP_BACK,     /* %1: capture a */
	OP_BALANCE,  /* %bab */
	OP_FRONTIER, /* %f[set] */
};

struct item {
	uint8_t op;
	uint8_t quantity; /* 0, or one of * + - ? */
	uint8_t a;
	uint8_t b;
	uint32_t set;
};

struct set {
	uint32_t bits[8];
};

struct match_program {
	uint32_t items_max; /* the sets follow the items */
	uint32_t count;
	uint32_t sets;
	uint32_t anchored;
	struct item items[];
};

static struct set *sets_of(const struct match_program *p)
{
	return (struct set *)(p->items + p->items_max);
}

size_t match_program_size(const char *pattern, size_t len)
{
	size_t sets = 0;
	for (size_t i = 0; i < len; i++)
		sets += pattern[i] == '%' || pattern[i] == '[';
	return sizeof(struct match_program) + (len + 1) * sizeof(struct item) +
	       sets * sizeof(struct set);
}

bool match_is_anchored(const struct match_program *p)
{
	return p->anchored;
}

/* --- compiling --- */

struct compiler {
	struct match_program *p;
	const char *at;
	const char *end;
	uint8_t open[MATCH_CAPTURES_MAX]; /* captures not yet closed */
	unsigned open_count;
	unsigned captures;
	uint32_t closed; /* bit per capture */
	const char *error;
};

static void set_add(struct set *s, uint8_t c)
{
	s->bits[c >> 5] |= 1u << (c & 31);
}

static bool set_has(const struct set *s, uint8_t c)
{
	return s->bits[c >> 5] >> (c & 31) & 1;
}

static bool is_between(unsigned c, char low, char high)
{
	return c >= (unsigned char)low && c <= (unsigned char)high;
}

/* Whether c is of the class that the lower-case letter names. ASCII, whatever the locale. */
static bool class_has(char letter, unsigned c)
{
	bool lower = is_between(c, 'a', 'z'), upper = is_between(c, 'A', 'Z');
	bool digit = is_between(c, '0', '9'), graph = is_between(c, '!', '~');
	switch (letter) {
	case 'a':
		return lower || upper;
	case 'c':
		return c < 32 || c == 127;
	case 'd':
		return digit;
	case 'g':
		return graph;
	case 'l':
		return lower;
	case 'p':
		return graph && !lower && !upper && !digit;
	case 's':
		return c == ' ' || is_between(c, '\t', '\r');
	case 'u':
		return upper;
	case 'w':
		return lower || upper || digit;
	case 'x':
		return digit || is_between(c | 32, 'a', 'f');
	default: /* z, of Lua 5.1 */
		return c == 0;
	}
}

/* Adds what "%c" stands for: a class, its complement, or the character itself. */
static void set_add_escape(struct set *s, char c)
{
	char letter = (char)(c | 32);
	if (!is_between((unsigned char)letter, 'a', 'z') || !strchr("acdglpsuwxz", letter)) {
		set_add(s, (uint8_t)c);
		return;
	}
	for (unsigned i = 0; i < 256; i++)
		if (class_has(letter, i) == (c == letter))
			set_add(s, (uint8_t)i);
}

static bool fail(struct compiler *c, const char *error)
{
	c->error = error;
	return false;
}

static struct set *new_set(struct compiler *c, struct item *item)
{
	struct set *s = &sets_of(c->p)[c->p->sets];
	item->set = c->p->sets++;
	memset(s, 0, sizeof *s);
	return s;
}

/* The bracket that ends a set whose contents begin at p, or NULL. The first character is never
 * the end:
 * "[]]" holds a bracket. */
static const char *end_of_set(const char *p, const char *end)
{
	for (const char *first = p; p < end; p++) {
		if (*p == ']' && p != first)
			return p;
		if (*p == '%' && ++p == end)
			break;
	}
	return NULL;
}

/* "[" was read. */
static bool compile_set(struct compiler *c, struct item *item)
{
	struct set *s = new_set(c, item);
	bool complement = c->at < c->end && *c->at == '^';
	const char *p = c->at + complement;
	const char *end = end_of_set(p, c->end);

	if (!end)
		return fail(c, "malformed pattern (missing ']')");
	while (p < end) {
		char from = *p++;
		if (from == '%') {
			set_add_escape(s, *p++);
		} else if (end - p >= 2 && *p == '-') {
			for (unsigned i = (uint8_t)from; i <= (uint8_t)p[1]; i++)
				set_add(s, (uint8_t)i);
			p += 2;
		} else {
			set_add(s, (uint8_t)from);
		}
	}
	c->at = end + 1;
	for (unsigned i = 0; complement && i < 8; i++)
		s->bits[i] = ~s->bits[i];
	return true;
}

static bool compile_open(struct compiler *c, struct item *item)
{
	if (c->captures == MATCH_CAPTURES_MAX)
		return fail(c, "too many captures");
	if (c->at < c->end && *c->at == ')') {
		c->at++;
		item->op = OP_POSITION;
		c->closed |= 1u << c->captures;
	} else {
		item->op = OP_OPEN;
		c->open[c->open_count++] = (uint8_t)c->captures;
	}
	item->a = (uint8_t)c->captures++;
	return true;
}

static bool compile_close(struct compiler *c, struct item *item)
{
	if (c->open_count == 0)
		return fail(c, "invalid pattern capture");
	item->op = OP_CLOSE;
	item->a = c->open[--c->open_count];
	c->closed |= 1u << item->a;
	return true;
}

/* "%" was read. *single: the item may have a quantity. */
static bool compile_escape(struct compiler *c, struct item *item, bool *single)
{
	if (c->at == c->end)
		return fail(c, "malformed pattern (ends with '%')");
	char e = *c->at++;
	*single = false;
	if (e == 'b') {
		if (c->end - c->at < 2)
			return fail(c, "malformed pattern (missing arguments to '%b')");
		item->op = OP_BALANCE;
		item->a = (uint8_t)c->at[0];
		item->b = (uint8_t)c->at[1];
		c->at += 2;
		return true;
	}
	if (e == 'f') {
		if (c->at == c->end || *c->at != '[')
			return fail(c, "missing '[' after '%f' in pattern");
		c->at++;
		item->op = OP_FRONTIER;
		return compile_set(c, item);
	}
	if (is_between((unsigned char)e, '0', '9')) {
		unsigned n = (unsigned)(e - '1');
		if (e == '0' || n >= c->captures || !(c->closed >> n & 1))
			return fail(c, "invalid capture index in pattern");
		item->op = OP_BACK;
		item->a = (uint8_t)n;
		return true;
	}
	*single = true;
	if (!strchr("acdglpsuwxzACDGLPSUWXZ", e) || e == 0) {
		item->op = OP_CHAR;
		item->a = (uint8_t)e;
		return true;
	}
	item->op = OP_SET;
	set_add_escape(new_set(c, item), e);
	return true;
}

static bool compile_item(struct compiler *c, struct item *item)
{
	bool single = true;
	char first = *c->at++;

	*item = (struct item){.op = OP_CHAR, .a = (uint8_t)first};
	switch (first) {
	case '(':
		return compile_open(c, item);
	case ')':
		return compile_close(c, item);
	case '$':
		if (c->at == c->end) {
			item->op = OP_EOS;
			return true;
		}
		break;
	case '.':
		item->op = OP_ANY;
		break;
	case '[':
		item->op = OP_SET;
		if (!compile_set(c, item))
			return false;
		break;
	case '%':
		if (!compile_escape(c, item, &single))
			return false;
		break;
	default:
		break;
	}
	if (single && c->at < c->end && *c->at && strchr("*+-?", *c->at))
		item->quantity = (uint8_t)*c->at++;
	return true;
}

const char *match_compile(struct match_program *p, const char *pattern, size_t len,
			  bool caret_is_plain)
{
	if (len > MATCH_PATTERN_MAX)
		return "pattern too long";
	*p = (struct match_program){.items_max = (uint32_t)len + 1};
	struct compiler c = {.p = p, .at = pattern, .end = pattern + len};
	if (len > 0 && *pattern == '^' && !caret_is_plain) {
		p->anchored = 1;
		c.at++;
	}
	while (c.at < c.end)
		if (!compile_item(&c, &p->items[p->count++]))
			return c.error;
	if (c.open_count > 0)
		return "unfinished capture";
	p->items[p->count] = (struct item){.op = OP_END};
	return NULL;
}

/* --- matching --- */

static const char *run(struct match *m, const char *s, const struct item *item);

static void count_steps(struct match *m, size_t steps)
{
	m->steps += steps;
	if (m->steps >= MATCH_STEPS) {
		size_t done = m->steps;
		m->steps = 0;
		if (m->report)
			m->report(m->self, done);
	}
}

static bool single(const struct match *m, const struct item *item, char c)
{
	switch (item->op) {
	case OP_CHAR:
		return (uint8_t)c == item->a;
	case OP_ANY:
		return true;
	default:
		return set_has(&sets_of(m->program)[item->set], (uint8_t)c);
	}
}

/* The rest of the pattern, from item, with a way back to the caller. */
static const char *attempt(struct match *m, const char *s, const struct item *item)
{
	if (m->depth == MATCH_DEPTH_MAX)
		m->error = "pattern too complex";
	if (m->error)
		return NULL;
	m->depth++;
	const char *end = run(m, s, item);
	m->depth--;
	return end;
}

/* Whether item, one that follows a quantity, can possibly match at s: spares most attempts. */
static bool may_follow(const struct match *m, const char *s, const struct item *item)
{
	if (item->op != OP_CHAR || (item->quantity && item->quantity != '+'))
		return true;
	return s < m->end && (uint8_t)*s == item->a;
}

/* As many as possible, then fewer. */
static const char *run_greedy(struct match *m, const char *s, const struct item *item, size_t least)
{
	const char *p = s;
	while (p < m->end && single(m, item, *p))
		p++;
	count_steps(m, (size_t)(p - s));
	for (; (size_t)(p - s) >= least; p--) {
		if (may_follow(m, p, item + 1)) {
			const char *end = attempt(m, p, item + 1);
			if (end || m->error)
				return end;
		} else {
			count_steps(m, 1);
		}
		if (p == s)
			break;
	}
	return NULL;
}

/* As few as possible, then more. */
static const char *run_lazy(struct match *m, const char *s, const struct item *item)
{
	for (;; s++) {
		if (may_follow(m, s, item + 1)) {
			const char *end = attempt(m, s, item + 1);
			if (end || m->error)
				return end;
		} else {
			count_steps(m, 1);
		}
		if (s == m->end || !single(m, item, *s))
			return NULL;
	}
}

static const char *run_capture(struct match *m, const char *s, const struct item *item)
{
	struct match_capture *c = &m->capture[item->a];
	struct match_capture before = *c;
	unsigned captures = m->captures;

	if (item->op == OP_CLOSE) {
		c->len = s - c->start;
	} else {
		*c = (struct match_capture){s, item->op == OP_POSITION ? MATCH_POSITION : 0};
		m->captures = item->a + 1u;
	}
	const char *end = attempt(m, s, item + 1);
	if (!end) {
		*c = before;
		m->captures = captures;
	}
	return end;
}

/* Behind the balanced text that begins at s, or NULL. */
static const char *skip_balanced(struct match *m, const char *s, const struct item *item)
{
	size_t depth = 1;
	const char *p = s;
	if (s == m->end || (uint8_t)*s != item->a)
		return NULL;
	while (++p < m->end) {
		if ((uint8_t)*p == item->b) {
			if (--depth == 0)
				break;
		} else if ((uint8_t)*p == item->a) {
			depth++;
		}
	}
	count_steps(m, (size_t)(p - s));
	return p < m->end ? p + 1 : NULL;
}

static bool at_frontier(const struct match *m, const char *s, const struct item *item)
{
	const struct set *set = &sets_of(m->program)[item->set];
	uint8_t before = s == m->subject ? 0 : (uint8_t)s[-1];
	uint8_t after = s == m->end ? 0 : (uint8_t)*s;
	return !set_has(set, before) && set_has(set, after);
}

static const char *skip_again(struct match *m, const char *s, const struct item *item)
{
	const struct match_capture *c = &m->capture[item->a];
	/* Of a position there is nothing to repeat; Lua finds none either. */
	if (c->len < 0 || m->end - s < c->len)
		return NULL;
	count_steps(m, (size_t)c->len);
	return memcmp(c->start, s, (size_t)c->len) == 0 ? s + c->len : NULL;
}

/* One item without a quantity: where it ends, or NULL. */
static const char *skip_item(struct match *m, const char *s, const struct item *item)
{
	switch (item->op) {
	case OP_EOS:
		return s == m->end ? s : NULL;
	case OP_BALANCE:
		return skip_balanced(m, s, item);
	case OP_FRONTIER:
		return at_frontier(m, s, item) ? s : NULL;
	case OP_BACK:
		return skip_again(m, s, item);
	default:
		return s < m->end && single(m, item, *s) ? s + 1 : NULL;
	}
}

static const char *run(struct match *m, const char *s, const struct item *item)
{
	for (;; item++) {
		count_steps(m, 1);
		if (item->op == OP_END)
			return s;
		if (item->op == OP_OPEN || item->op == OP_POSITION || item->op == OP_CLOSE)
			return run_capture(m, s, item);
		if (item->quantity == '*')
			return run_greedy(m, s, item, 0);
		if (item->quantity == '+')
			return run_greedy(m, s, item, 1);
		if (item->quantity == '-')
			return run_lazy(m, s, item);
		if (item->quantity == '?') {
			if (s < m->end && single(m, item, *s)) {
				const char *end = attempt(m, s + 1, item + 1);
				if (end || m->error)
					return end;
			}
			continue;
		}
		s = skip_item(m, s, item);
		if (!s)
			return NULL;
	}
}

const char *match_at(struct match *m, const char *s)
{
	m->captures = 0;
	m->depth = 0;
	m->error = NULL;
	return run(m, s, m->program->items);
}

const char *match_search(struct match *m, const char *s, const char **end)
{
	const struct match_program *p = m->program;
	m->error = NULL;
	const struct item *first = p->items;
	bool literal = first->op == OP_CHAR && (!first->quantity || first->quantity == '+');

	for (;; s++) {
		if (literal && !p->anchored) {
			const char *hit =
				s < m->end ? memchr(s, first->a, (size_t)(m->end - s)) : NULL;
			count_steps(m, (size_t)((hit ? hit : m->end) - s) / 16);
			if (!hit)
				return NULL;
			s = hit;
		}
		*end = match_at(m, s);
		if (*end)
			return s;
		if (p->anchored || m->error || s == m->end)
			return NULL;
	}
}

/* regex.c - see regex.h. PCRE2, whose syntax includes what clients know from elsewhere. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "groups/regex.h"

#include <pcre2.h>
#include <stdlib.h>

/* A topic's name has 249 bytes at most: an expression without nested repeats needs a few steps for
 * each. One match that takes all of these takes about 20 microseconds. */
#define STEPS_MAX    2000
#define DEPTH_MAX    500
#define HEAP_KIB_MAX 256
#define NESTING_MAX  50

struct regex {
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	bool has_given_up;
};

static pcre2_code *compile(struct slice pattern, struct ks_why *why)
{
	pcre2_compile_context *context = pcre2_compile_context_create(NULL);
	int error;
	PCRE2_SIZE at;

	pcre2_set_max_pattern_length(context, REGEX_BYTES_MAX);
	pcre2_set_parens_nest_limit(context, NESTING_MAX);
	pcre2_code *code = pcre2_compile(pattern.data ? pattern.data : (PCRE2_SPTR) "", pattern.len,
					 PCRE2_ANCHORED | PCRE2_ENDANCHORED | PCRE2_NEVER_UTF |
						 PCRE2_NEVER_BACKSLASH_C | PCRE2_DOLLAR_ENDONLY,
					 &error, &at, context);
	pcre2_compile_context_free(context);
	if (!code) {
		PCRE2_UCHAR text[128];
		pcre2_get_error_message(error, text, sizeof text);
		ks_fail(why, ERR_INVALID_REGULAR_EXPRESSION,
			"the regular expression is wrong at byte %zu: %s", (size_t)at,
			(const char *)text);
	}
	return code;
}

struct regex *regex_new(struct slice pattern, struct ks_why *why)
{
	pcre2_code *code = compile(pattern, why);

	if (!code)
		return NULL;
	struct regex *r = xcalloc(1, sizeof *r);
	r->code = code;
	r->match = pcre2_match_data_create(1, NULL);
	r->limits = pcre2_match_context_create(NULL);
	if (!r->match || !r->limits)
		abort(); /* out of memory */
	pcre2_set_match_limit(r->limits, STEPS_MAX);
	pcre2_set_depth_limit(r->limits, DEPTH_MAX);
	pcre2_set_heap_limit(r->limits, HEAP_KIB_MAX);
	return r;
}

void regex_free(struct regex *r)
{
	if (!r)
		return;
	pcre2_code_free(r->code);
	pcre2_match_data_free(r->match);
	pcre2_match_context_free(r->limits);
	free(r);
}

bool regex_matches(struct regex *r, struct slice name)
{
	int found = pcre2_match(r->code, name.data, name.len, 0, 0, r->match, r->limits);

	/* 0: it matches and has more groups than we look at. */
	if (found >= 0)
		return true;
	if (found != PCRE2_ERROR_NOMATCH)
		r->has_given_up = true;
	return false;
}

bool regex_gave_up(const struct regex *r)
{
	return r->has_given_up;
}

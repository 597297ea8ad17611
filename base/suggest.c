/* suggest.c - see suggest.h. */
#include "base/suggest.h"

#include <ctype.h>
#include <string.h>

#define WORD_MAX 255 /* longer words get no suggestion: they are no slip of the finger */

static int lower(char c)
{
	return tolower((unsigned char)c);
}

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;
	return m < c ? m : c;
}

/* Edits that turn a into b: change, insert, delete, swap two neighbours. Three rows of the table
 * are enough for the last one. */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][WORD_MAX + 1];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2];

	for (size_t j = 0; j <= b_len; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			unsigned differs = lower(a[i - 1]) != lower(b[j - 1]);
			row[j] = least(above[j] + 1, row[j - 1] + 1, above[j - 1] + differs);
			if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
			    lower(a[i - 2]) == lower(b[j - 1]) && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
		unsigned *free_row = before;
		before = above;
		above = row;
		row = free_row;
	}
	return above[b_len];
}

const char *suggest(const char *word, const char *const *candidates, size_t n)
{
	const char *best = NULL;
	size_t word_len = strlen(word);

	if (word_len == 0 || word_len > WORD_MAX)
		return NULL;
	unsigned limit = (unsigned)(word_len + 2) / 3;
	for (size_t i = 0; i < n; i++) {
		size_t len = strlen(candidates[i]);
		if (len == 0 || len > WORD_MAX)
			continue;
		unsigned d = distance(word, word_len, candidates[i], len);
		if (d >= word_len || d > limit || (best && d == limit))
			continue;
		best = candidates[i];
		limit = d;
		if (d == 0 && strcmp(word, best) == 0)
			break;
	}
	return best;
}

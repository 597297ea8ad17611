/* suggest.h - "did you mean": the known word that a misspelt one was probably meant to be. */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include <stddef.h>

/* The candidate nearest to word, or NULL when none is near: at most a third of the word's letters
 * may be wrong, missing, too many or swapped with their neighbour; case counts nothing. A word that
 * is a candidate but for its case gives that candidate; an exact match gives itself. Of equally
 * near ones the first. */
const char *suggest(const char *word, const char *const *candidates, size_t n);

#endif

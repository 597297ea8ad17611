/* say.h - how verbs talk: data to stdout, everything else to stderr, the exit code for an error. */
#ifndef CLI_SAY_H
#define CLI_SAY_H

#include "base/err.h"
#include "base/mem.h"

enum exit_code {
	EXIT_DONE = 0,
	EXIT_FAILED = 1,
	EXIT_USAGE = 2,      /* bad usage, configuration or script: trying again cannot help */
	EXIT_CHANGES = 3,    /* plan --exit-code: something would change */
	EXIT_TEMPORARY = 75, /* trying again may help */
};

/* Names the verb in front of every sentence that follows; a static string. */
void say_verb(const char *name);

/* One line on stderr. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void say_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* As say_error, and where to read more; returns EXIT_USAGE. */
int say_usage(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* Says why, or err's text when why is empty; returns the exit code for err. */
int say_failure(enum ks_err err, const struct ks_why *why);
int exit_code_of(enum ks_err err);

/* Is colour wanted on this descriptor: a terminal, no NO_COLOR, TERM not dumb. */
bool colour_wanted(int fd);

/* Writes b to stdout and clears it. False when stdout takes no more: the verb ends with out_code(),
 * which is EXIT_DONE for a reader that went away (head) and EXIT_FAILED, with a sentence said, for
 * the rest. */
bool out_write(struct buf *b);
int out_code(void);
/* The process's exit code: code, or EXIT_FAILED when stdout did not take all that the verb wrote, with stdio or
 * out_write. */
int out_finish(int code);

/* Shows what would happen and asks on the terminal. EXIT_DONE: yes; EXIT_FAILED: no, and that was said; EXIT_USAGE: stdin is
 * no terminal, which was said with without, the options that do it without asking. */
int confirm(const struct buf *shown, const char *question, const char *without);

#endif

/* excerpt.h - shows a human the place in the script that a message is about. */
#ifndef STREAMS_EXCERPT_H
#define STREAMS_EXCERPT_H

#include "base/mem.h"

/* Appends the line of the script that `where` ("job.lua:12") names, with a caret under token (its
 * first non-blank when token is NULL or not there) and the note behind the caret. Appends only the
 * note, in its own line, when the line cannot be read, and nothing when there is no note either. */
void excerpt_source(struct buf *out, const char *script_path, const char *where, const char *token,
		    const char *note);

/* Appends at most max bytes of a key or value for a message: text as it is, other bytes as \xNN,
 * "..." behind what was cut; "null" for null. */
void excerpt_bytes(struct buf *out, struct slice bytes, size_t max);

#endif

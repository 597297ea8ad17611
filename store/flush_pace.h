/* flush_pace.h - how fast a flush may go to the disk, and whether past the page cache.
 *
 * A flush that writes as fast as it can has the disk for itself for some 30 ms, and every sync of the write-ahead log
 * waits behind what it handed over. There is no hurry: a memtable is on the disk early enough when the next one is full.
 * So a flush goes as the log goes - for each byte that is logged it may write a little more than one, and some more as
 * time passes, so that it also ends when nothing is logged.
 *
 * Nothing is held back when the log goes so fast that its own bytes are what its syncs wait for, when flushes cannot
 * keep up, which is when two are under way, and while somebody waits for one.
 *
 * What was flushed is read by those alone who lag behind the memtables. While nobody does, a copy in the page cache is
 * work for nothing: it costs the processor more than all else in a flush, and pushes out what others read. While
 * somebody does, the next of what he will read is in the cache.
 *
 * Threads: any; a flush_file belongs to the thread that flushes.
 */
#ifndef STORE_FLUSH_PACE_H
#define STORE_FLUSH_PACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct flush_pace;

struct flush_file {
	struct flush_pace *pace;
	bool is_free; /* not held back at all */
	uint64_t logged_before;
	int64_t begin_ns; /* monotonic */
	uint64_t written;
};

struct flush_pace *flush_pace_new(void);
void flush_pace_free(struct flush_pace *p); /* after its files have ended; p may be NULL */

void flush_pace_logged(struct flush_pace *p, size_t bytes);

/* From begin to end somebody waits for a flush. Calls may nest. */
void flush_pace_hurry_begin(struct flush_pace *p);
void flush_pace_hurry_end(struct flush_pace *p);

/* Somebody read what was flushed; now_ns: monotonic. */
void flush_pace_read(struct flush_pace *p, int64_t now_ns);

/* Whether a flush that begins now should leave no copy in the page cache: nobody has read one lately, or the log goes so
 * fast that it would fill the cache with itself. */
bool flush_pace_is_past_cache(struct flush_pace *p, int64_t now_ns);

void flush_file_begin(struct flush_file *f, struct flush_pace *p, int64_t now_ns);
void flush_file_end(struct flush_file *f);

/* How many of the next len bytes, above 0, may be written now; 0: none yet. */
size_t flush_file_grant(struct flush_file *f, size_t len, int64_t now_ns);
/* Likewise, but waits for them. Sets *is_paced: whether they should be handed to the disk before there are more. */
size_t flush_file_wait(struct flush_file *f, size_t len, bool *is_paced);

#ifdef __cplusplus
}
#endif

#endif

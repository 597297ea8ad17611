/* log_limit.h - a bound on lines of the log that a peer can provoke: so many per second, and then a count of those that
 * were left out. Thread-safe.
 */
#ifndef BASE_LOG_LIMIT_H
#define BASE_LOG_LIMIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define LOG_LIMIT_PER_SECOND 10

/* Zero-initialise. */
struct log_limit {
	_Atomic(int64_t) second;
	_Atomic(uint32_t) used, missed;
};

/* Whether one more may be written now; *missed: how many were not since the last one. */
bool log_limit_pass(struct log_limit *l, int64_t now_ns, uint32_t *missed);

#endif

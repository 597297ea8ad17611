/* offsets.h - the offset language of consume, trim and seek: rpk's.
 *
 *   start end        the ends of a partition          47          an exact offset
 *   +3 -3            3 after the start, 3 before the end          @T          the first record at
 * or after T A:  :B  A:B      from A, until B (exclusive), from A until B; after an @ both are
 * times: @T1:T2
 *
 * T is 13 digits (ms), 10 digits (s), YYYY-MM-DD, YYYY-MM-DDTHH:MM:SS[.fff]Z, or a duration such as
 * -1h or 1m30s: from now, or from T1 when that is a point in time; T2 may be `end`.
 */
#ifndef CLI_OFFSETS_H
#define CLI_OFFSETS_H

#include <stdint.h>

#include "base/err.h"

enum offset_kind {
	OFFSET_OPEN,  /* as `to`: no end, wait for more */
	OFFSET_START, /* value records after the start */
	OFFSET_END,   /* value (<= 0) records before the end */
	OFFSET_EXACT,
	OFFSET_TIME, /* value: ms since 1970 */
};

struct offset_point {
	enum offset_kind kind;
	int64_t value;
};

struct offset_range {
	struct offset_point from, to;
};

/* ERR_INVALID_ARGUMENT: why quotes the text. */
enum ks_err offset_range_parse(const char *text, int64_t now_ms, struct offset_range *out,
			       struct ks_why *why);
/* One point: start, end, 47, +2, -3 or @T. */
enum ks_err offset_point_parse(const char *text, int64_t now_ms, struct offset_point *out,
			       struct ks_why *why);
/* A duration such as 1h30m, with ns, us, ms, s, m, h and d. */
bool offset_duration_parse(const char *text, size_t len, int64_t *out_ms);

#endif

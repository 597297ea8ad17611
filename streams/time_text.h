/* time_text.h - points in time as text. */
#ifndef STREAMS_TIME_TEXT_H
#define STREAMS_TIME_TEXT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/mem.h"

/* Reads ISO 8601: "2024-05-01", "2024-05-01T12:00", "...:30", "...:30.123456", then "Z", "+02:00", "+0200" or
 * nothing (UTC); a space may stand for the T. ms since 1970 UTC. */
bool time_from_iso(struct slice text, int64_t *ms);

#endif

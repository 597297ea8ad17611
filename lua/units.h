/* units.h - durations and sizes as people write them: "90s", "1h30m", "24h", "30d"; "64KiB", "1GiB". */
#ifndef LUA_UNITS_H
#define LUA_UNITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Milliseconds. Units: ms s m h d w; several in a row, largest first or not ("1h30m"). A number needs
 * its unit. false: not a duration, or beyond 2^53 ms. */
bool units_parse_duration(const char *text, int64_t *ms);
/* The shortest such text: 90000 -> "90s", 86400000 -> "1d". Returns out. */
const char *units_format_duration(int64_t ms, char *out, size_t cap);

/* Bytes. Units: B, KB MB GB (powers of 1000), K M G KiB MiB GiB (powers of 1024); none: bytes. */
bool units_parse_size(const char *text, int64_t *bytes);

#endif

/* offset_file.h - files that say where partitions are to go: a line of topic, partition and offset for each. */
#ifndef CLI_OFFSET_FILE_H
#define CLI_OFFSET_FILE_H

#include "cli/target.h"

/* The rows of the file, in its order, partitions that are named twice included; free(). Empty lines do not count. "-" is
 * standard input. ERR_INVALID_ARGUMENT, ERR_UNKNOWN_TOPIC_OR_PARTITION: why names file and line. */
enum ks_err offset_file_read(struct target *t, const char *path, struct target_offset **out,
			     size_t *count, struct ks_why *why);

#endif

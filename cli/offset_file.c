/* offset_file.c - see offset_file.h. */
#include "cli/offset_file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLANKS " \t\r\n"

static enum ks_err parse_row(struct target *t, char *line, struct target_offset *out,
			     struct ks_why *why)
{
	char *rest = line, *topic = strtok_r(line, BLANKS, &rest), *end = NULL;
	char *partition = strtok_r(NULL, BLANKS, &rest), *offset = strtok_r(NULL, BLANKS, &rest);
	long number = partition ? strtol(partition, &end, 10) : 0;

	if (!offset || strtok_r(NULL, BLANKS, &rest) || *end)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "it is TOPIC PARTITION OFFSET");
	out->offset = strtoll(offset, &end, 10);
	if (*end || out->offset < 0)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "\"%s\" is no offset", offset);
	enum ks_err err = t->topic_find(t, topic, false, &out->topic, why);
	if (!err)
		err = target_check_partition(&out->topic, number, why);
	out->partition = (int32_t)number;
	return err;
}

enum ks_err offset_file_read(struct target *t, const char *path, struct target_offset **out,
			     size_t *count, struct ks_why *why)
{
	FILE *f = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	enum ks_err err = ERR_NONE;
	char *line = NULL;
	size_t cap = 0;

	*out = NULL;
	*count = 0;
	if (!f)
		return ks_fail(why, ERR_INVALID_ARGUMENT, "cannot open %s: %s", path,
			       strerror(errno));
	for (int number = 1; !err && getline(&line, &cap, f) >= 0; number++) {
		struct target_offset row = {.partition = 0};
		struct ks_why what = {""};
		if (!line[strspn(line, BLANKS)])
			continue;
		err = parse_row(t, line, &row, &what);
		if (err) {
			ks_fail(why, err, "%s:%d: %s", path, number, what.text);
			break;
		}
		*out = xrealloc(*out, (*count + 1) * sizeof **out);
		(*out)[(*count)++] = row;
	}
	if (!err && ferror(f))
		err = ks_fail(why, ERR_IO, "cannot read %s: %s", path, strerror(errno));
	free(line);
	if (f != stdin)
		fclose(f);
	if (err) {
		free(*out);
		*out = NULL;
	}
	return err;
}

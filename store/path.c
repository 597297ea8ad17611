/* path.c - see path.h. */
#include "store/path.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum ks_err path_fail(struct ks_why *why, const char *verb, const char *path)
{
	int e = errno;

	if (e == ENOSPC || e == EDQUOT)
		return ks_fail(why, ERR_NO_SPACE,
			       "cannot %s %s: %s; free space on its file system and start again",
			       verb, path, strerror(e));
	return ks_fail(why, e == ENOENT ? ERR_NOT_FOUND : ERR_IO, "cannot %s %s: %s", verb, path,
		       strerror(e));
}

enum ks_err path_sync_dir(const char *dir, struct ks_why *why)
{
	enum ks_err err = ERR_NONE;
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return path_fail(why, "open", dir);
	if (fsync(fd))
		err = path_fail(why, "sync", dir);
	close(fd);
	return err;
}

bool path_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

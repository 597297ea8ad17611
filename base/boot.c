/* boot.c - see boot.h. */
#include "base/boot.h"

#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool boot_id_read(uint8_t id[BOOT_ID_BYTES])
{
	char text[64] = "";
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
	unsigned digits = 0;

	memset(id, 0, BOOT_ID_BYTES);
	if (fd >= 0)
		close(fd);
	for (ssize_t i = 0; i < n && digits < 2 * BOOT_ID_BYTES; i++) {
		if (!isxdigit((unsigned char)text[i]))
			continue;
		unsigned digit = (unsigned)strtoul((char[]){text[i], 0}, NULL, 16);
		id[digits / 2] = (uint8_t)((unsigned)id[digits / 2] << 4 | digit);
		digits++;
	}
	return digits == 2 * BOOT_ID_BYTES;
}

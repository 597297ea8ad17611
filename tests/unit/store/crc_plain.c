/* crc_plain.c - a program without our CRC32C: `crc_plain write|read DIR` writes a store that
 * test_crc reads, and the other way round. Exit status 0 when all is as it should be. */
#include "store/store.h"

#include <string.h>

#include "crc_values.h"

int main(int argc, char **argv)
{
	if (argc != 3)
		return 2;
	return strcmp(argv[1], "write") == 0 ? crc_write(argv[2]) : crc_read(argv[2]);
}

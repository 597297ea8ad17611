/* boot.h - which start of the machine this is. */
#ifndef BASE_BOOT_H
#define BASE_BOOT_H

#include <stdbool.h>
#include <stdint.h>

#define BOOT_ID_BYTES 16

/* The kernel's random id of its last start; any thread. false: it tells none, and id is zeros. */
bool boot_id_read(uint8_t id[BOOT_ID_BYTES]);

#endif

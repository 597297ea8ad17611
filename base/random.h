/* random.h - bytes that nobody can foretell. */
#ifndef BASE_RANDOM_H
#define BASE_RANDOM_H

#include <stddef.h>

/* From the kernel, fit for secrets and for identifiers that must never meet; any thread. Ends the
 * process where the kernel has none to give. */
void random_bytes(void *out, size_t len);

#endif

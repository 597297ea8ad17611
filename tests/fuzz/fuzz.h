/* fuzz.h - what a driver defines: fuzz_<name>.c holds this one function.
 *
 * Under libFuzzer its main calls it; otherwise replay.c does, for every file of a corpus. A finding
 * is a crash, a sanitizer's report or a failed assert.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif

/* fuzz_script.c - any bytes as a script, loaded and run in the sandbox with small budgets. Whatever it does, the sandbox stands
 * and takes the next one. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "lua/sandbox.h"

static struct sandbox *sandbox;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct sandbox_options options = {
		.memory_max = 4u << 20, .budget_ms = 20, .instructions_max = 100000};
	struct sandbox_error error = {0};

	if (!sandbox)
		sandbox = sandbox_new(&options);
	if (!sandbox_load_text(sandbox, "fuzz.lua", slice_of(data, size), &error))
		(void)sandbox_call(sandbox, 0, 0, &error);
	sandbox_error_fini(&error);
	return 0;
}

/* perf_input_verb.c - `ksrun perf input`: the generator's records as lines, for other engines. */
#include <errno.h>
#include <stdio.h>

#include "cli/perf.h"
#include "cli/say.h"
#include "cli/verb.h"

const struct option perf_input_options[] = {
	PERF_INPUT_OPTIONS,
	{.name = "from",
	 .type = OPTION_NUMBER,
	 .arg = "I",
	 .fallback = "0",
	 .help = "the first record"},
	{.letter = 'f',
	 .name = "file",
	 .type = OPTION_TEXT,
	 .arg = "FILE",
	 .help = "write there, not to stdout"},
	{0},
};

static bool write_lines(FILE *out, const struct input_spec *spec, int64_t from, int64_t count)
{
	struct input_maker maker;
	struct input_record r;
	bool is_fine = true;

	input_maker_init(&maker, spec);
	for (int64_t i = from; is_fine && i < from + count; i++) {
		input_make(&maker, i, &r);
		fwrite_unlocked(r.key.data, 1, r.key.len, out);
		putc_unlocked('\t', out);
		fwrite_unlocked(r.value.data, 1, r.value.len, out);
		is_fine = putc_unlocked('\n', out) != EOF;
	}
	input_maker_fini(&maker);
	return is_fine;
}

int verb_perf_input(const struct options *o)
{
	const char *path = options_text(o, "file");
	struct input_spec spec;
	static char buffer[1 << 18];

	if (!perf_input_spec(o, &spec))
		return EXIT_USAGE;
	if (options_number(o, "from") < 0)
		return say_usage("--from is not negative");
	FILE *out = path ? fopen(path, "we") : stdout;
	if (!out) {
		say_error("cannot write %s: %s", path, strerror(errno));
		return EXIT_FAILED;
	}
	setvbuf(out, buffer, _IOFBF, sizeof buffer);
	bool is_fine = write_lines(out, &spec, options_number(o, "from"), options_number(o, "num"));
	int error = errno;
	if (fflush(out) != 0 && is_fine) {
		is_fine = false;
		error = errno;
	}
	if (path)
		fclose(out);
	if (is_fine || error == EPIPE) /* a reader that has enough goes away */
		return EXIT_DONE;
	say_error("cannot write %s: %s", path ? path : "the records", strerror(error));
	return EXIT_FAILED;
}

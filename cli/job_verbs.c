/* job_verbs.c - run, check, plan, graph, test and perf: the verbs that need the stream engine.
 *
 * Their rows and options are complete; their bodies come with the engine.
 */
#include "cli/verb.h"

/* Options of all verbs that load a script. */
#define SCRIPT_PARAMETER                                                                           \
	{                                                                                          \
		.letter = 'p', .name = "param", .type = OPTION_LIST, .arg = "KEY=VALUE",           \
		.help = "a parameter of the script"                                                \
	}

const struct option run_options[] = {
	SCRIPT_PARAMETER,
	{.name = "once", .help = "stop at the offsets that are the end now"},
	{0},
};

const struct option check_options[] = {
	SCRIPT_PARAMETER,
	{.name = "format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .fallback = "text",
	 .help = "text or json"},
	{0},
};

const struct option plan_options[] = {
	SCRIPT_PARAMETER,
	{.name = "exit-code", .help = "exit with 3 when something would change"},
	{.name = "format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .fallback = "text",
	 .help = "text or json"},
	{0},
};

const struct option graph_options[] = {
	SCRIPT_PARAMETER,
	{.name = "format",
	 .type = OPTION_TEXT,
	 .arg = "FORMAT",
	 .fallback = "text",
	 .help = "text, dot, mermaid, svg or json"},
	{0},
};

const struct option test_options[] = {
	{.name = "filter",
	 .type = OPTION_TEXT,
	 .arg = "REGEX",
	 .help = "only tests with this name"},
	{0},
};

const struct option perf_job_options[] = {
	SCRIPT_PARAMETER,
	{.letter = 'n',
	 .name = "num",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "1000000",
	 .help = "records"},
	{0},
};

const struct option perf_log_options[] = {
	{.letter = 'n',
	 .name = "num",
	 .type = OPTION_NUMBER,
	 .arg = "N",
	 .fallback = "1000000",
	 .help = "records"},
	{.name = "record-size",
	 .type = OPTION_NUMBER,
	 .arg = "BYTES",
	 .fallback = "100",
	 .help = "bytes of a value"},
	{0},
};

static int not_yet(void)
{
	say_error("this ksrun was built without the stream engine");
	return EXIT_FAILED;
}

int verb_run(const struct options *o)
{
	(void)o;
	return not_yet();
}

int verb_check(const struct options *o)
{
	(void)o;
	return not_yet();
}

int verb_plan(const struct options *o)
{
	(void)o;
	return not_yet();
}

int verb_graph(const struct options *o)
{
	(void)o;
	return not_yet();
}

int verb_test(const struct options *o)
{
	(void)o;
	return not_yet();
}

int verb_perf_job(const struct options *o)
{
	(void)o;
	return not_yet();
}

int verb_perf_log(const struct options *o)
{
	(void)o;
	return not_yet();
}

/* job_state.c - `ksrun job state`: prints what a store of a job holds.
 *
 * The engine is opened in manual mode and processes nothing: what is printed is the state of the last commit. As it opens
 * the job like a run does, a running instance elsewhere would be fenced; the data directory's lock rules that out.
 */
#include <stdlib.h>

#include "cli/job_verbs.h"
#include "streams/engine.h"

#define OUT_BYTES 65536

const struct option job_state_options[] = {
	SCRIPT_PARAMETER,
	{0},
};

struct dump {
	struct record_context context;
	struct buf out;
	bool stopped; /* stdout takes no more */
	enum ks_err err;
	struct ks_why why;
};

static void append_datum(struct dump *d, const struct datum *datum)
{
	struct datum copy = *datum;
	struct slice bytes = SLICE_NULL;
	enum serde as = copy.kind == DATUM_JSON ? SERDE_JSON : SERDE_STRING;

	if (copy.kind != DATUM_NULL && !d->err)
		d->err = datum_encode(&d->context, as, &copy, &bytes, &d->why);
	buf_append(&d->out, bytes.data, bytes.len);
}

static void print_entry(void *cookie, const struct datum *key, const struct datum *value)
{
	struct dump *d = cookie;

	if (d->stopped)
		return;
	append_datum(d, key);
	buf_append_u8(&d->out, '\t');
	append_datum(d, value);
	buf_append_u8(&d->out, '\n');
	arena_reset(d->context.arena);
	if (d->out.len >= OUT_BYTES)
		d->stopped = !out_write(&d->out);
}

static int print_store(struct engine *e, const char *store)
{
	struct arena arena = {0};
	struct dump d = {.context = {.parser = doc_parser_new(), .arena = &arena}};
	enum ks_err err = engine_state_scan(e, store, print_entry, &d, &d.why);
	int code;

	if (!err)
		err = d.err;
	if (!d.stopped)
		out_write(&d.out);
	code = err ? say_failure(err, &d.why) : out_code();
	doc_parser_free(d.context.parser);
	arena_fini(&arena);
	buf_fini(&d.out);
	return code;
}

static int open_and_print(const struct options *o, struct script_file *file)
{
	struct broker_options bo = verb_broker_options(o, false);
	struct broker *broker = NULL;
	struct engine *engine = NULL;
	struct ks_why why = {""};
	int code;

	enum ks_err err = target_open_broker(&bo, &broker, &why);
	if (!err) {
		struct engine_options eo = {.broker = broker,
					    .job = script_file_job(file, 0),
					    .scripts = script_file_factory(file, 0),
					    .owner = "ksrun job state",
					    .is_manual = true};
		err = engine_start(&eo, &engine, &why);
	}
	code = err ? say_failure(err, &why) : print_store(engine, o->args[1]);
	engine_free(engine);
	broker_close(broker);
	return code;
}

int verb_job_state(const struct options *o)
{
	struct options script = *o;
	struct scripts s = {0};
	int code;

	script.arg_count = 1; /* the second argument names a store */
	code = scripts_load(&script, &s);
	if (code == EXIT_DONE)
		code = open_and_print(o, s.files[0]);
	scripts_free(&s);
	return code;
}

/* err.c - names and texts of err.def. */
#include "base/err.h"

#include <stdarg.h>
#include <stdio.h>

static const struct row {
	int code;
	bool retriable;
	const char *name;
	const char *text;
} rows[] = {
#define ERR(name, code, retriable, text) {(code), (retriable), #name, (text)},
#include "base/err.def"
#undef ERR
};

static const struct row *find(enum ks_err err)
{
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (rows[i].code == (int)err)
			return &rows[i];
	return NULL;
}

const char *ks_err_name(enum ks_err err)
{
	const struct row *r = find(err);
	return r ? r->name : "UNKNOWN";
}

const char *ks_err_text(enum ks_err err)
{
	const struct row *r = find(err);
	return r ? r->text : "unknown error";
}

bool ks_err_is_retriable(enum ks_err err)
{
	const struct row *r = find(err);
	return r && r->retriable;
}

enum ks_err ks_fail(struct ks_why *why, enum ks_err err, const char *format, ...)
{
	if (why) {
		va_list args;
		va_start(args, format);
		vsnprintf(why->text, sizeof why->text, format, args);
		va_end(args);
	}
	return err;
}

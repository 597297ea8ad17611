/* fuzz_properties.c - any bytes as server.properties: read, or refused with a sentence; then as the settings of a broker. */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>

#include "base/log.h"
#include "server/properties.h"
#include "server/settings.h"

/* Looking for what was meant by a key that is none takes long, and is tested elsewhere. */
static bool is_worth_it(const struct properties *p)
{
	const char *value;

	for (size_t i = 0; i < p->count; i++) {
		bool is_known = false;
		for (size_t j = 0; settings_key(j, &value) && !is_known; j++)
			is_known = strcmp(settings_key(j, &value), p->v[i].key) == 0;
		for (size_t j = 0; broker_default_key(j) && !is_known; j++)
			is_known = strcmp(broker_default_key(j), p->v[i].key) == 0;
		if (!is_known)
			return false;
	}
	return true;
}

static void use(const struct properties *p)
{
	struct settings *s = settings_new();
	struct server_options so = {.broker = NULL};
	struct broker_options bo = {.dir = NULL};
	struct ks_why why = {""};
	enum ks_err err = ERR_NONE;

	for (size_t i = 0; i < p->count && !err; i++)
		err = settings_set(s, p->v[i].key, p->v[i].value, "fuzz", &why);
	if (!err)
		err = settings_apply(s, &so, &bo, &why);
	if (err ? err != ERR_INVALID_CONFIG || !*why.text : so.listener_count == 0)
		abort();
	settings_free(s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct properties p;
	struct ks_why why = {""};

	log_set_level(LOG_OFF);
	enum ks_err err = properties_parse(slice_of(data, size), "fuzz", &p, &why);
	if (err) {
		if ((err != ERR_INVALID_CONFIG && err != ERR_TOO_LARGE) || !*why.text)
			abort();
		return 0;
	}
	for (size_t i = 0; i < p.count; i++)
		if (p.v[i].line < 1 || (i && p.v[i].line < p.v[i - 1].line))
			abort();
	if (is_worth_it(&p))
		use(&p);
	properties_fini(&p);
	return 0;
}

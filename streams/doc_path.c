/* doc_path.c - paths such as a.b[0]["x.y"].
 *
 *   path  = step { step }         the first step may leave out its dot
 *   step  = "." name | "[" digits "]" | "[" '"' any '"' "]"
 *   name  = any characters but . [ ]
 */
#include "streams/doc_impl.h"

#include <stdlib.h>

struct step {
	size_t index; /* when name is NULL */
	const char *name;
	size_t len;
};

struct doc_path {
	char *text;
	size_t count;
	struct step steps[];
};

/* Reads the step at *p into s; false: there is none. */
static bool read_bracket(const char **p, struct step *s)
{
	const char *q = *p + 1;
	if (*q == '"') {
		const char *end = strchr(q + 1, '"');
		if (!end || end[1] != ']')
			return false;
		*s = (struct step){.name = q + 1, .len = (size_t)(end - q - 1)};
		*p = end + 2;
		return true;
	}
	size_t digits = strspn(q, "0123456789");
	if (digits == 0 || digits > 9 || q[digits] != ']')
		return false;
	*s = (struct step){.index = (size_t)strtoul(q, NULL, 10)};
	*p = q + digits + 1;
	return true;
}

static bool read_step(const char **p, bool first, struct step *s)
{
	if (**p == '[')
		return read_bracket(p, s);
	if (**p == '.' && !first)
		(*p)++;
	else if (!first)
		return false;
	size_t len = strcspn(*p, ".[]");
	*s = (struct step){.name = *p, .len = len};
	*p += len;
	return len > 0;
}

struct doc_path *doc_path_new(const char *text, struct ks_why *why)
{
	size_t steps_max = strlen(text) + 1;
	struct doc_path *path = xmalloc(sizeof *path + steps_max * sizeof path->steps[0]);
	path->text = xstrdup(text);
	path->count = 0;
	const char *p = path->text;
	do {
		const char *at = p;
		if (!read_step(&p, path->count == 0, &path->steps[path->count])) {
			ks_fail(why, ERR_INVALID_ARGUMENT,
				"path \"%s\": a name, a .name, an [index] or a [\"name\"] was "
				"expected at "
				"character %zu",
				text, (size_t)(at - path->text) + 1);
			doc_path_free(path);
			return NULL;
		}
		path->count++;
	} while (*p);
	return path;
}

void doc_path_free(struct doc_path *p)
{
	if (!p)
		return;
	free(p->text);
	free(p);
}

doc_node doc_find(struct doc *d, const struct doc_path *p)
{
	return doc_find_from(d, 0, p);
}

doc_node doc_find_from(struct doc *d, doc_node n, const struct doc_path *p)
{
	for (size_t i = 0; i < p->count && n != DOC_NONE; i++) {
		const struct step *s = &p->steps[i];
		n = s->name ? doc_member(d, n, s->name, s->len) : doc_element(d, n, s->index);
	}
	return n;
}

size_t doc_path_length(const struct doc_path *p)
{
	return p->count;
}

const char *doc_path_step(const struct doc_path *p, size_t i, size_t *len, size_t *index)
{
	const struct step *s = &p->steps[i];
	*len = s->len;
	*index = s->index;
	return s->name;
}

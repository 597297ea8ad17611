/* misc_verbs.c - version and completion. */
#include <stdio.h>
#include <string.h>

#include "cli/verb.h"

#ifndef KS_VERSION
#define KS_VERSION "unknown"
#endif

int verb_version(const struct options *o)
{
	(void)o;
	puts("ksrun " KS_VERSION);
	return EXIT_DONE;
}

/* All three ask the hidden verb __complete, so the scripts never grow old. */
static const char bash_script[] =
	"# bash completion for ksrun: source <(ksrun completion bash)\n"
	"_ksrun()\n"
	"{\n"
	"\tlocal IFS=$'\\n'\n"
	"\tCOMPREPLY=($(ksrun __complete -- \"${COMP_WORDS[@]:1:COMP_CWORD}\" 2>/dev/null))\n"
	"}\n"
	"complete -o default -F _ksrun ksrun\n";

static const char zsh_script[] =
	"#compdef ksrun\n"
	"# zsh completion for ksrun: source <(ksrun completion zsh)\n"
	"_ksrun()\n"
	"{\n"
	"\tlocal -a words_known\n"
	"\twords_known=(${(f)\"$(ksrun __complete -- \"${(@)words[2,CURRENT]}\" 2>/dev/null)\"})\n"
	"\tif (( ${#words_known} )); then compadd -- $words_known; else _files; fi\n"
	"}\n"
	"compdef _ksrun ksrun\n";

static const char fish_script[] =
	"# fish completion for ksrun: ksrun completion fish | source\n"
	"complete -c ksrun -a '(ksrun __complete -- (commandline -opc)[2..-1] (commandline -ct) "
	"2>/dev/null)'\n";

int verb_completion(const struct options *o)
{
	static const struct {
		const char *shell, *script;
	} rows[] = {{"bash", bash_script}, {"zsh", zsh_script}, {"fish", fish_script}};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(rows[i].shell, o->args[0]) == 0) {
			fputs(rows[i].script, stdout);
			return EXIT_DONE;
		}
	}
	return say_usage("unknown shell \"%s\": bash, zsh and fish are known", o->args[0]);
}

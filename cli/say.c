/* say.c - see say.h. */
#include "cli/say.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *verb_name;
static int stdout_code;

void say_verb(const char *name)
{
	verb_name = name;
}

bool colour_wanted(int fd)
{
	const char *no = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fd) && !(no && *no) && term && strcmp(term, "dumb") != 0;
}

static void say_line(const char *format, va_list args)
{
	char text[2048];
	bool red = colour_wanted(STDERR_FILENO);

	vsnprintf(text, sizeof text, format, args);
	fprintf(stderr, "%sksrun%s%s:%s %s\n", red ? "\033[31m" : "", verb_name ? " " : "",
		verb_name ? verb_name : "", red ? "\033[0m" : "", text);
}

void say(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
}

void say_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_line(format, args);
	va_end(args);
}

int say_usage(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say_line(format, args);
	va_end(args);
	say("Try 'ksrun %s%s--help'.", verb_name ? verb_name : "", verb_name ? " " : "");
	return EXIT_USAGE;
}

int exit_code_of(enum ks_err err)
{
	switch (err) {
	case ERR_NONE:
		return EXIT_DONE;
	case ERR_INVALID_ARGUMENT:
	case ERR_INVALID_TOPIC_EXCEPTION:
	case ERR_INVALID_PARTITIONS:
	case ERR_INVALID_REPLICATION_FACTOR:
	case ERR_INVALID_CONFIG:
	case ERR_INVALID_GROUP_ID:
	case ERR_SCRIPT:
		return EXIT_USAGE;
	case ERR_LOCKED:
	case ERR_REQUEST_TIMED_OUT:
	case ERR_NOT_COORDINATOR:
	case ERR_COORDINATOR_NOT_AVAILABLE:
	case ERR_COORDINATOR_LOAD_IN_PROGRESS:
	case ERR_LEADER_NOT_AVAILABLE:
	case ERR_NOT_LEADER_OR_FOLLOWER:
	case ERR_NOT_CONTROLLER:
	case ERR_UNREACHABLE:
		return EXIT_TEMPORARY;
	default:
		return EXIT_FAILED;
	}
}

int say_failure(enum ks_err err, const struct ks_why *why)
{
	say_error("%s", why && why->text[0] ? why->text : ks_err_text(err));
	return exit_code_of(err);
}

static void say_stdout_failed(int error)
{
	if (error == EPIPE || stdout_code)
		return;
	say_error("cannot write to standard output: %s", strerror(error));
	stdout_code = EXIT_FAILED;
}

bool out_write(struct buf *b)
{
	size_t done = 0;

	while (done < b->len) {
		ssize_t n = write(STDOUT_FILENO, b->data + done, b->len - done);
		if (n < 0 && errno == EAGAIN) /* somebody made the terminal non-blocking */
			poll(&(struct pollfd){STDOUT_FILENO, POLLOUT, 0}, 1, -1);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n < 0) {
			say_stdout_failed(errno);
			buf_clear(b);
			return false;
		}
		done += (size_t)n;
	}
	buf_clear(b);
	return true;
}

int out_code(void)
{
	return stdout_code;
}

int out_finish(int code)
{
	if (fflush(stdout))
		say_stdout_failed(errno);
	return code ? code : stdout_code;
}

int confirm(const struct buf *shown, const char *question, const char *without)
{
	char line[16];

	fwrite(shown->data, 1, shown->len, stderr);
	if (!isatty(STDIN_FILENO))
		return say_usage("nobody is there to confirm; %s", without);
	fprintf(stderr, "%s [y/N] ", question);
	fflush(stderr);
	if (fgets(line, sizeof line, stdin) && (line[0] == 'y' || line[0] == 'Y'))
		return EXIT_DONE;
	say("Nothing was changed.");
	return EXIT_FAILED;
}

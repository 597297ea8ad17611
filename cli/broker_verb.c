/* broker_verb.c - `ksrun broker`: the log as a server for clients of the Kafka protocol, until it is told to stop. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cli/broker_http.h"
#include "cli/serve.h"
#include "cli/signals.h"
#include "cli/verb.h"

#define LOOK_MS 1000

const struct option broker_options_table[] = {
	{.letter = 'l',
	 .name = "listen",
	 .type = OPTION_LIST,
	 .arg = "HOST:PORT",
	 .help = "where to listen, instead of listeners; port 0: any that is free"},
	{.letter = 'c',
	 .name = "config",
	 .type = OPTION_TEXT,
	 .arg = "FILE",
	 .help = "a server.properties file"},
	{.letter = 'X',
	 .name = "set",
	 .type = OPTION_LIST,
	 .arg = "KEY=VALUE",
	 .help = "one of the keys that may stand in the file"},
	BROKER_HTTP_OPTION,
	{0},
};

/* On any thread: the store has failed. */
static void on_failure(void *cookie)
{
	uint64_t one = 1;

	if (write(*(const int *)cookie, &one, sizeof one) < 0)
		abort(); /* an eventfd takes 2^64 - 2 of them */
}

/* Until a signal comes or the store fails. Returns an exit code. What fails while somebody waits for it is told at once; what
 * fails behind the scenes, such as the end of a member's session, is found within LOOK_MS. */
static int wait_for_end(struct broker *b, int failed_fd)
{
	struct pollfd fds[] = {{.fd = signals_fd(), .events = POLLIN},
			       {.fd = failed_fd, .events = POLLIN}};

	while (poll(fds, 2, LOOK_MS) <= 0 && !broker_failure(b))
		continue;
	return broker_failure(b) ? serve_say_failure(b) : EXIT_DONE;
}

/* h may be NULL. */
static int serve(struct server_options *so, struct http *h)
{
	int failed_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct server *s = NULL;
	struct ks_why why = {""};

	so->failed = on_failure;
	so->failed_cookie = &failed_fd;
	enum ks_err err = server_start(so, &s, &why);
	if (err) {
		close(failed_fd);
		return say_failure(err, &why);
	}
	if (h)
		http_show(h, s, NULL);
	serve_say_ready(s);
	int code = wait_for_end(so->broker, failed_fd);
	if (h)
		http_show(h, NULL, code == EXIT_DONE ? "stopping" : "the store has failed");
	server_stop(s, SERVE_STOP_MS);
	close(failed_fd);
	return code;
}

static int open_and_serve(const struct broker_options *bo, struct server_options *so,
			  struct http *h)
{
	struct ks_why why = {""};

	if (h)
		http_show(h, NULL, "recovering");
	enum ks_err err = broker_open(bo, &so->broker, &why);
	int code = err ? say_failure(err, &why) : serve(so, h);
	broker_close(so->broker);
	return code;
}

int verb_broker(const struct options *o)
{
	struct settings *settings = NULL;
	struct server_options so;
	struct broker_options bo;
	struct http *h = NULL;
	int code = serve_settings(o, true, &settings);

	if (code == EXIT_DONE)
		code = serve_options(o, settings, &so, &bo);
	if (code == EXIT_DONE) {
		signals_start();
		code = broker_http_open(o, settings, &h);
	}
	if (code == EXIT_DONE)
		code = open_and_serve(&bo, &so, h);
	http_stop(h);
	settings_free(settings);
	return code;
}

/* broker_verb.c - `ksrun broker`: the log as a server for clients of Kafka's protocol, until it is told to stop. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/signals.h"
#include "cli/verb.h"
#include "server/server.h"

#define STOP_TIMEOUT_MS 20000

const struct option broker_options_table[] = {
	{.letter = 'l',
	 .name = "listen",
	 .type = OPTION_TEXT,
	 .arg = "HOST:PORT",
	 .fallback = "localhost:9092",
	 .help = "where to listen"},
	{0},
};

/* "host:port", "[::1]:port" or ":port"; host is written into text's copy. */
static bool split_address(char *text, struct server_listener *out)
{
	char *colon = strrchr(text, ':'), *end;

	if (!colon)
		return false;
	long port = strtol(colon + 1, &end, 10);
	if (end == colon + 1 || *end || port < 0 || port > 65535)
		return false;
	*colon = 0;
	if (*text == '[' && colon > text && colon[-1] == ']') {
		colon[-1] = 0;
		text++;
	}
	*out = (struct server_listener){.host = text, .port = (uint16_t)port};
	return true;
}

static int serve(struct broker *b, const struct server_listener *listener)
{
	struct server_options so = {.broker = b,
				    .listeners = listener,
				    .listener_count = 1,
				    .auto_create_topics = true};
	struct pollfd stop = {.fd = signals_fd(), .events = POLLIN};
	struct server *s = NULL;
	struct ks_why why = {""};
	enum ks_err err = server_start(&so, &s, &why);

	if (err)
		return say_failure(err, &why);
	printf("ready: listening on %s:%u\n", listener->host, server_port(s, 0));
	fflush(stdout);
	while (poll(&stop, 1, -1) < 0)
		continue;
	server_stop(s, STOP_TIMEOUT_MS);
	return EXIT_DONE;
}

int verb_broker(const struct options *o)
{
	struct broker_options bo = verb_broker_options(o, true);
	char *address = xstrdup(options_text(o, "listen"));
	struct server_listener listener;
	struct broker *b = NULL;
	struct ks_why why = {""};
	int code;

	if (!split_address(address, &listener)) {
		code = say_usage("--listen \"%s\": it is HOST:PORT", options_text(o, "listen"));
		free(address);
		return code;
	}
	signals_start();
	bo.auto_create_topics = true;
	enum ks_err err = broker_open(&bo, &b, &why);
	code = err ? say_failure(err, &why) : serve(b, &listener);
	broker_close(b);
	free(address);
	return code;
}

/* broker_verb.c - `ksrun broker`: the log as a server for clients of Kafka's protocol, until it is told to stop. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/broker_http.h"
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
	BROKER_HTTP_OPTION,
	{0},
};

static int serve(struct broker *b, const struct server_listener *listener, struct http *h)
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
	if (h)
		http_show(h, s, NULL);
	printf("ready: listening on %s:%u\n", listener->host, server_port(s, 0));
	fflush(stdout);
	while (poll(&stop, 1, -1) < 0)
		continue;
	if (h)
		http_show(h, NULL, "stopping");
	server_stop(s, STOP_TIMEOUT_MS);
	return EXIT_DONE;
}

static int open_and_serve(struct broker_options *bo, const struct server_listener *listener,
			  struct http *h)
{
	struct broker *b = NULL;
	struct ks_why why = {""};

	if (h)
		http_show(h, NULL, "recovering");
	enum ks_err err = broker_open(bo, &b, &why);
	int code = err ? say_failure(err, &why) : serve(b, listener, h);
	broker_close(b);
	return code;
}

int verb_broker(const struct options *o)
{
	struct broker_options bo = verb_broker_options(o, true);
	char *address = xstrdup(options_text(o, "listen")), *host;
	struct server_listener listener = {0};
	struct http *h = NULL;
	int code;

	if (!address_split(address, &host, &listener.port)) {
		code = say_usage("--listen \"%s\": it is HOST:PORT", options_text(o, "listen"));
		free(address);
		return code;
	}
	listener.host = host;
	signals_start();
	bo.auto_create_topics = true;
	code = broker_http_open(o, &h);
	if (code == EXIT_DONE)
		code = open_and_serve(&bo, &listener, h);
	http_stop(h);
	free(address);
	return code;
}

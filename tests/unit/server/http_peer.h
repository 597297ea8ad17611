/* http_peer.h - who asks a broker's HTTP listener, in bytes. */
#ifndef TESTS_UNIT_SERVER_HTTP_PEER_H
#define TESTS_UNIT_SERVER_HTTP_PEER_H

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include "server/http.h"
#include "tests/check.h"

static struct http *h; /* who is asked */

static int dial(void)
{
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons(http_port(h))};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	return fd;
}

static void send_text(int fd, const char *text, size_t len)
{
	/* It may have hung up already. */
	while (len) {
		ssize_t n = send(fd, text, len, MSG_NOSIGNAL);
		if (n <= 0)
			return;
		text += n;
		len -= (size_t)n;
	}
}

/* What comes until the other side closes; until the next time. */
static const char *receive(int fd)
{
	static char reply[1 << 20];
	size_t len = 0;
	ssize_t n;

	while ((n = recv(fd, reply + len, sizeof reply - 1 - len, 0)) > 0)
		len += (size_t)n;
	reply[len] = 0;
	close(fd);
	return reply;
}

static const char *ask(const char *method, const char *path)
{
	char request[256];
	int fd = dial();
	int n = snprintf(request, sizeof request,
			 "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method, path);

	send_text(fd, request, (size_t)n);
	return receive(fd);
}

static void assert_answer(const char *path, const char *status, const char *body)
{
	const char *answer = ask("GET", path);

	if (strncmp(answer, "HTTP/1.1 ", 9) || strncmp(answer + 9, status, 3) ||
	    !strstr(answer, body))
		fail_msg("%s: %s", path, answer);
}

#endif

/* test_http.c - health while a broker comes and goes, and what else may knock at that door. */
#include "http_peer.h"

#define HELD 40 /* connections at a time, more than it takes */

static int start(void **state)
{
	struct ks_why why;

	(void)state;
	return http_start("127.0.0.1", 0, &h, &why);
}

static int stop(void **state)
{
	(void)state;
	http_stop(h);
	h = NULL;
	return 0;
}

static void it_is_alive_before_the_broker_is_there(void **state)
{
	(void)state;
	assert_answer("/healthz", "200", "\r\n\r\nalive\n");
	assert_answer("/readyz", "503", "\r\n\r\nstarting\n");
	http_show(h, NULL, "recovering");
	assert_answer("/readyz", "503", "\r\n\r\nrecovering\n");
	assert_answer("/metrics", "200", "\nprocess_resident_memory_bytes ");
	assert_null(strstr(ask("GET", "/metrics"), "kafka_brokers"));
}

static void it_is_ready_as_long_as_a_server_runs(void **state)
{
	struct server_listener listener = {.host = "127.0.0.1"};
	struct broker_options bo = {0};
	struct broker *b;
	struct server *s;
	struct ks_why why;

	(void)state;
	assert_int_equal(broker_open(&bo, &b, &why), ERR_NONE);
	struct server_options so = {.broker = b, .listeners = &listener, .listener_count = 1};
	assert_int_equal(server_start(&so, &s, &why), ERR_NONE);
	http_show(h, s, NULL);
	assert_answer("/readyz", "200", "\r\n\r\nready\n");
	assert_answer("/metrics", "200", "\nkafka_brokers 1\n");
	assert_answer("/metrics?full=1", "200", "\nks_broker_connections 0\n");
	http_show(h, NULL, "stopping");
	server_stop(s, 1000);
	broker_close(b);
	assert_answer("/readyz", "503", "\r\n\r\nstopping\n");
	assert_answer("/healthz", "200", "alive");
}

static void other_paths_and_methods_are_refused(void **state)
{
	(void)state;
	assert_answer("/", "404", "/metrics");
	assert_answer("/metrics/../etc/passwd", "404", "/metrics");
	assert_non_null(strstr(ask("POST", "/metrics"), "HTTP/1.1 405 "));
	assert_non_null(strstr(ask("DELETE", "/healthz"), "Allow: GET, HEAD"));
	const char *head = ask("HEAD", "/healthz");
	assert_non_null(strstr(head, "HTTP/1.1 200 "));
	assert_null(strstr(head, "alive"));
}

static void what_is_no_http_is_refused_and_harms_nobody(void **state)
{
	static char noise[200000];

	(void)state;
	memset(noise, 'a', sizeof noise);
	int fd = dial();
	send_text(fd, noise, sizeof noise); /* a request line without end */
	assert_null(strstr(receive(fd), " 200 "));
	fd = dial();
	send_text(fd, "\0\0\0\x12\0\x12\0\3\r\n\r\n", 12);
	shutdown(fd, SHUT_WR);
	assert_null(strstr(receive(fd), " 200 "));
	assert_answer("/healthz", "200", "alive");
}

static void there_is_a_bound_on_connections_and_room_again_afterwards(void **state)
{
	int fds[HELD], closed = 0;
	char byte;

	(void)state;
	for (int i = 0; i < HELD; i++)
		fds[i] = dial();
	/* Those beyond the bound are closed without a word; the others wait for a request. */
	for (int i = HELD - 1; i >= 16; i--)
		closed += recv(fds[i], &byte, 1, 0) == 0;
	assert_int_equal(closed, HELD - 16);
	for (int i = 0; i < HELD; i++)
		close(fds[i]);
	/* It learns of that a moment later: until then it may close this one, too. */
	for (int i = 0; i < 10000 && !strstr(ask("GET", "/healthz"), "alive"); i++)
		continue;
	assert_answer("/healthz", "200", "alive");
}

static void an_address_that_is_taken_is_an_error_with_a_reason(void **state)
{
	struct http *other = NULL;
	struct ks_why why = {""};

	(void)state;
	assert_int_equal(http_start("127.0.0.1", http_port(h), &other, &why), ERR_IO);
	assert_null(other);
	assert_non_null(strstr(why.text, "Address already in use"));
	assert_int_equal(http_start("no such host", 0, &other, &why), ERR_IO);
	assert_non_null(strstr(why.text, "no such host"));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, start, stop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_is_alive_before_the_broker_is_there),
		TEST(it_is_ready_as_long_as_a_server_runs),
		TEST(other_paths_and_methods_are_refused),
		TEST(what_is_no_http_is_refused_and_harms_nobody),
		TEST(there_is_a_bound_on_connections_and_room_again_afterwards),
		TEST(an_address_that_is_taken_is_an_error_with_a_reason),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}

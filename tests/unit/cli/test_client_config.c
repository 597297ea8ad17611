/* Where a client's properties come from: files, profiles, environment, -X and options, their ranks, and what is wrong with them. */
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/client_source.h"
#include "cli/verb.h"
#include "unit.h"

/* A directory that is home to a configuration file. */
static char dir[64], file[96], other[96];

static void write_file(const char *path, const char *text)
{
	FILE *f = fopen(path, "we");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
}

static int setup(void **state)
{
	static const char *const variables[] = {"KS_BOOTSTRAP", "KS_CONFIG", "KS_PROFILE"};
	char path[96];

	(void)state;
	for (size_t i = 0; i < sizeof variables / sizeof *variables; i++)
		unsetenv(variables[i]);
	strcpy(dir, "/tmp/ks-client-config-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(path, sizeof path, "%s/ks", dir);
	snprintf(file, sizeof file, "%s/ks/config", dir);
	snprintf(other, sizeof other, "%s/other", dir);
	setenv("XDG_CONFIG_HOME", dir, 1);
	return mkdir(path, 0700);
}

static int teardown(void **state)
{
	char path[96];

	(void)state;
	unlink(file);
	unlink(other);
	snprintf(path, sizeof path, "%s/ks", dir);
	rmdir(path);
	return rmdir(dir);
}

#define ARGV(...)                                                                                  \
	(char *[])                                                                                 \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}

static void parse(const struct option *own, char **argv, struct options *o)
{
	const struct option *tables[OPTION_TABLES] = {own, client_source_options,
						      verb_common_options};
	struct ks_why why = {""};
	int argc = 0;

	while (argv[argc])
		argc++;
	if (options_parse(tables, argc, argv, o, &why))
		fail_msg("%s", why.text);
}

/* The config of a topic produce with these options; o is released with options_fini behind it. */
static struct client_config *load(char **argv, struct options *o)
{
	struct client_config *c = NULL;
	struct ks_why why = {""};

	parse(topic_produce_options, argv, o);
	if (client_source_load(o, &c, &why))
		fail_msg("%s", why.text);
	return c;
}

/* One key of such a config: its value and who has set it. */
static void says(char **argv, const char *name, const char *value, const char *origin)
{
	struct options o;
	struct client_config *c = load(argv, &o);

	assert_string_equal(client_config_text(c, name), value);
	assert_string_equal(client_config_origin(c, name), origin);
	client_config_free(c);
	options_fini(&o);
}

static void fails(char **argv, const char *expected)
{
	struct client_config *c;
	struct ks_why why = {""};
	struct options o;

	parse(topic_produce_options, argv, &o);
	assert_int_equal(client_source_load(&o, &c, &why) != ERR_NONE, 1);
	assert_string_equal(why.text, expected);
	options_fini(&o);
}

static const char *at(const char *path, const char *rest)
{
	static char text[8][200];
	static size_t next;
	char *out = text[next++ % 8];

	snprintf(out, sizeof text[0], "%s%s", path, rest);
	return out;
}

static void without_a_word_everything_is_the_default(void **state)
{
	(void)state;
	says(ARGV("x"), "client.id", "ksrun", "default");
	says(ARGV("x"), "acks", "all", "default");
}

static void each_source_outranks_those_below_it(void **state)
{
	(void)state;
	write_file(file, "bootstrap.servers=head\nacks=1\n[p]\nbootstrap.servers=profile\n");
	write_file(other, "metadata.broker.list : command\n");
	says(ARGV("x"), "bootstrap.servers", "head", at(file, ":1"));
	says(ARGV("--profile", "p"), "bootstrap.servers", "profile", at(file, ":4"));
	says(ARGV("--profile", "p"), "acks", "1", at(file, ":2"));
	says(ARGV("--command-config", other, "--profile", "p"), "bootstrap.servers", "command",
	     at(other, ":1"));
	setenv("KS_BOOTSTRAP", "environment", 1);
	says(ARGV("--command-config", other), "bootstrap.servers", "environment",
	     "KS_BOOTSTRAP in the environment");
	says(ARGV("-X", "bootstrap.servers=property", "--command-config", other),
	     "bootstrap.servers", "property", "-X");
	says(ARGV("-b", "option", "-X", "bootstrap.servers=property"), "bootstrap.servers",
	     "option", "--bootstrap");
	setenv("KS_BOOTSTRAP", "", 1);
	says(ARGV("x"), "bootstrap.servers", "head", at(file, ":1"));
}

static void of_two_properties_the_later_one_holds(void **state)
{
	(void)state;
	says(ARGV("-Xacks=1", "--command-property", "request.required.acks=0"), "acks", "0", "-X");
	write_file(file, "linger.ms=1\nqueue.buffering.max.ms=2\n");
	says(ARGV("x"), "linger.ms", "2", at(file, ":2"));
}

static void the_file_is_where_it_is_named(void **state)
{
	(void)state;
	write_file(file, "client.id=standard\n");
	write_file(other, "client.id=named\n[p]\nclient.id=profile\n");
	says(ARGV("-F", other), "client.id", "named", at(other, ":1"));
	setenv("KS_CONFIG", other, 1);
	says(ARGV("x"), "client.id", "named", at(other, ":1"));
	setenv("KS_PROFILE", "p", 1);
	says(ARGV("x"), "client.id", "profile", at(other, ":3"));
	unsetenv("KS_CONFIG");
	unsetenv("KS_PROFILE");
	setenv("XDG_CONFIG_HOME", "relative/does/not/count", 1);
	setenv("HOME", "/nonexistent", 1);
	says(ARGV("x"), "client.id", "ksrun", "default");
}

static void a_named_file_must_be_there_and_the_standard_one_need_not(void **state)
{
	(void)state;
	says(ARGV("x"), "client.id", "ksrun", "default");
	fails(ARGV("-F", other), at("cannot open ", at(other, ": No such file or directory")));
	fails(ARGV("--command-config", other),
	      at("cannot open ", at(other, ": No such file or directory")));
	fails(ARGV("--profile", "p"),
	      at("profile \"p\": there is no ", at(file, "; --config-file names another file")));
}

static void java_files_are_read_as_java_reads_them(void **state)
{
	(void)state;
	write_file(other,
		   "# comment\n! too\n  client.id : a\\\n     b  \nlinger.ms 7\nacks\\u003d1\n");
	fails(ARGV("--command-config", other),
	      at(other, ":6: there is no client property \"acks=1\"; did you mean \"acks\"?"));
	write_file(other, "# comment\n! too\n  client.id : a\\\n     b  \nlinger.ms 7\n");
	says(ARGV("--command-config", other), "client.id", "ab", at(other, ":3"));
	says(ARGV("--command-config", other), "linger.ms", "7", at(other, ":5"));
}

static void mistakes_in_files_have_a_line(void **state)
{
	static const struct {
		const char *text, *why;
	} rows[] = {
		{"\nlinger.sm=3\n", ":2: there is no client property \"linger.sm\"; did you mean "
				    "\"linger.ms\"?"},
		{"security.protocol=SASL_SSL\n", ":1: security.protocol = \"SASL_SSL\" is not "
						 "supported; it can be plaintext"},
		{"sasl.password=secret\n", ":1: the client property \"sasl.password\" is not "
					   "supported here; -X list shows those that are"},
		{"client.id=\\u00zz\n", ":1: \\u needs four hexadecimal digits"},
		{"[p\nacks=1\n", ":1: a profile begins with [NAME] on a line of its own, and its "
				 "name has no blanks, no = and no :"},
		{"[]\n", ":1: a profile begins with [NAME] on a line of its own, and its name has "
			 "no blanks, no = and no :"},
		{"[\n", ":1: a profile begins with [NAME] on a line of its own, and its name has "
			"no blanks, no = and no :"},
		{"[a b]\n", ":1: a profile begins with [NAME] on a line of its own, and its name "
			    "has no blanks, no = and no :"},
		{"[a]=1\n", ":1: a profile begins with [NAME] on a line of its own, and its name "
			    "has no blanks, no = and no :"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		write_file(file, rows[i].text);
		fails(ARGV("x"), at(file, rows[i].why));
	}
	write_file(other, "acks=1\n[p]\n");
	fails(ARGV("--command-config", other, "-F", "/dev/null"),
	      at(other, ":2: this file has no profiles; --config-file reads one that has"));
}

static void profiles_are_chosen_by_name(void **state)
{
	(void)state;
	write_file(file, "[staging]\nacks=1\n[local]\nlinger.ms=x\n[staging]\nlinger.ms=1\n");
	says(ARGV("x"), "acks", "all", "default");
	says(ARGV("--profile", "staging"), "acks", "1", at(file, ":2"));
	says(ARGV("--profile", "staging"), "linger.ms", "1", at(file, ":6"));
	fails(ARGV("--profile", "local"), at(file, ":4: linger.ms = \"x\": it is a whole number"));
	fails(ARGV("--profile", "stagign"),
	      at(file, " has no profile \"stagign\"; did you mean \"staging\"?"));
	fails(ARGV("--profile", "other"), at(file, " has no profile \"other\""));
}

static void files_have_a_largest_size(void **state)
{
	FILE *f = fopen(file, "we");

	(void)state;
	for (int i = 0; i < 16 * 1024 + 1; i++)
		fputs("################################################################\n", f);
	assert_int_equal(fclose(f), 0);
	fails(ARGV("x"), at(file, ": more than 1 MiB"));
}

static void mistakes_behind_x_are_named(void **state)
{
	(void)state;
	fails(ARGV("-X", "acks"), "-X acks: it is KEY=VALUE; list and dump are known, too");
	fails(ARGV("-X", "=1"), "-X =1: it is KEY=VALUE; list and dump are known, too");
	fails(ARGV("-X", "ssl.ca.location=/x"), "-X: the client property \"ssl.ca.location\" is "
						"not supported here; -X list shows those that are");
	fails(ARGV("-X", "compresion.type=lz4"), "-X: there is no client property "
						 "\"compresion.type\"; did you mean "
						 "\"compression.type\"?");
}

static void words_are_kept_in_small_letters(void **state)
{
	(void)state;
	says(ARGV("-X", "compression.codec= ZSTD "), "compression.type", "zstd", "-X");
}

/* --- options --- */

static void an_option_outranks_its_key_and_a_key_its_default(void **state)
{
	struct options o;
	struct client_config *c =
		load(ARGV("-X", "acks=1", "-X", "compression.type=zstd", "-z", "gzip", "-X",
			  "message.timeout.ms=2000", "-X", "message.max.bytes=5000"),
		     &o);

	(void)state;
	client_config_give_options(c, &o);
	assert_string_equal(options_text(&o, "acks"), "1");
	assert_string_equal(options_text(&o, "compression"), "gzip");
	assert_string_equal(options_text(&o, "delivery-timeout"), "2000ms");
	assert_int_equal(options_number(&o, "max-message-bytes"), 5000);
	assert_string_equal(options_text(&o, "partition"), "-1");
	assert_string_equal(client_config_text(c, "compression.type"), "gzip");
	assert_string_equal(client_config_origin(c, "compression.type"), "--compression");
	client_config_free(c);
	options_fini(&o);
}

static void durations_of_options_are_told_in_ms(void **state)
{
	(void)state;
	says(ARGV("-D", "1m30s"), "delivery.timeout.ms", "90000", "--delivery-timeout");
	says(ARGV("-D", "soon"), "delivery.timeout.ms", "60000", "default");
}

static bool reads_uncommitted(char **argv)
{
	struct client_config *c;
	struct ks_why why = {""};
	struct options o;

	parse(topic_consume_options, argv, &o);
	assert_int_equal(client_source_load(&o, &c, &why), ERR_NONE);
	client_config_give_options(c, &o);
	bool is_uncommitted = options_flag(&o, "uncommitted");
	assert_string_equal(client_config_text(c, "isolation.level"),
			    is_uncommitted ? "read_uncommitted" : "read_committed");
	client_config_free(c);
	options_fini(&o);
	return is_uncommitted;
}

static void the_isolation_level_is_two_flags(void **state)
{
	(void)state;
	assert_false(reads_uncommitted(ARGV("x")));
	assert_true(reads_uncommitted(ARGV("-X", "isolation.level=read_uncommitted")));
	assert_true(
		reads_uncommitted(ARGV("--uncommitted", "-X", "isolation.level=read_committed")));
	assert_false(reads_uncommitted(
		ARGV("--read-committed", "-X", "isolation.level=read_uncommitted")));
}

static void connections_and_members_get_what_is_set(void **state)
{
	struct options o;
	struct client_config *c =
		load(ARGV("-Xclient.id=me", "-Xbroker.address.family=v6", "-Xsocket.timeout.ms=11",
			  "-Xsocket.connection.setup.timeout.ms=1200", "-Xrequest.timeout.ms=13",
			  "-Xreceive.message.max.bytes=1400", "-Xenable.idempotence=false",
			  "-Xfetch.min.bytes=15", "-Xsession.timeout.ms=16",
			  "-Xmax.poll.interval.ms=17", "-Xheartbeat.interval.ms=18"),
		     &o);
	struct target_wire_options w = client_source_wire(c);

	(void)state;
	assert_string_equal(w.client.client_id, "me");
	assert_int_equal(w.client.address_family, AF_INET6);
	assert_int_equal(w.client.request_timeout_ms, 11);
	assert_int_equal(w.client.connect_timeout_ms, 1200);
	assert_int_equal(w.client.broker_timeout_ms, 13);
	assert_int_equal(w.client.frame_bytes_max, 1400);
	assert_true(w.client.is_not_idempotent);
	assert_int_equal(w.fetch_min_bytes, 15);
	assert_int_equal(w.session_timeout_ms, 16);
	assert_int_equal(w.rebalance_timeout_ms, 17);
	assert_int_equal(w.heartbeat_interval_ms, 18);
	client_config_free(c);
	options_fini(&o);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_a_word_everything_is_the_default),
		TEST(each_source_outranks_those_below_it),
		TEST(of_two_properties_the_later_one_holds),
		TEST(the_file_is_where_it_is_named),
		TEST(a_named_file_must_be_there_and_the_standard_one_need_not),
		TEST(java_files_are_read_as_java_reads_them),
		TEST(mistakes_in_files_have_a_line),
		TEST(profiles_are_chosen_by_name),
		TEST(files_have_a_largest_size),
		TEST(mistakes_behind_x_are_named),
		TEST(words_are_kept_in_small_letters),
		TEST(an_option_outranks_its_key_and_a_key_its_default),
		TEST(durations_of_options_are_told_in_ms),
		TEST(the_isolation_level_is_two_flags),
		TEST(connections_and_members_get_what_is_set),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

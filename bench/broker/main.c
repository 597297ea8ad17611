/* main.c - kload: options, clients, clocks. The modes are in bulk.c, latency.c and txn.c. */
#include "load.h"

#include <errno.h>
#include <getopt.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

static const char usage[] =
	"kload MODE [options]     load and latency of a Kafka-protocol broker, through librdkafka\n"
	"\n"
	"  create      make the topic (-p partitions)\n"
	"  produce     -n messages of -s bytes as fast as they go, -w producers\n"
	"  consume     -n messages from the beginning of all partitions\n"
	"  rtt         -R times one message there and back\n"
	"  rate        -f messages a second for -d seconds, end-to-end latency\n"
	"  txn         -R transactions of one message per partition, -w producers, commit latency\n"
	"  txn-produce as produce, by one producer, in transactions of -c milliseconds\n"
	"  txn-copy    -n messages to the topic -T, exactly once, in transactions of -c "
	"milliseconds\n"
	"\n"
	"  -b HOST:PORT  -t TOPIC  -p PARTITIONS (4)  -n MESSAGES  -s BYTES (100)  -a ACKS (all)\n"
	"  -i            idempotent      -z CODEC    -l LINGER_MS (5; rtt: 0)    -w PRODUCERS (1)\n"
	"  -R ROUNDS (5000)   -f RATE (5000)   -d SECONDS (12; the first 2 are not counted)\n"
	"  -T TOPIC      -c COMMIT_MS (100)\n"
	"  -P PID        also the CPU time of that process\n"
	"  -X KEY=VALUE  any property of librdkafka\n";

void die(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("kload: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static long number(const char *text, long min, long max)
{
	char *end;
	long n = strtol(text, &end, 10);

	if (*end || n < min || n > max)
		die("%s is not a number from %ld to %ld", text, min, max);
	return n;
}

static void parse_option(struct options *o, int c)
{
	switch (c) {
	case 'b':
		o->bootstrap = optarg;
		break;
	case 't':
		o->topic = optarg;
		break;
	case 'a':
		o->acks = optarg;
		break;
	case 'z':
		o->codec = optarg;
		break;
	case 'l':
		o->linger_ms = optarg;
		break;
	case 'i':
		o->is_idempotent = true;
		break;
	case 'p':
		o->partitions = (int)number(optarg, 1, 1000);
		break;
	case 'w':
		o->writers = (int)number(optarg, 1, WRITERS_MAX);
		break;
	case 'n':
		o->messages = number(optarg, 1, 1000000000);
		break;
	case 's':
		o->size = number(optarg, 16, 1000000);
		break;
	case 'R':
		o->rounds = number(optarg, 1, 10000000);
		break;
	case 'f':
		o->rate = number(optarg, 1, 1000000);
		break;
	case 'd':
		o->seconds = number(optarg, 3, 3600);
		break;
	case 'c':
		o->commit_ms = number(optarg, 1, 60000);
		break;
	case 'T':
		o->target = optarg;
		break;
	case 'P':
		o->pid = number(optarg, 1, 1L << 22);
		break;
	case 'X':
		if (o->property_count == PROPERTIES_MAX)
			die("too many -X");
		o->properties[o->property_count++] = optarg;
		break;
	default:
		fputs(usage, stderr);
		exit(2);
	}
}

void options_parse(struct options *o, int argc, char **argv)
{
	int c;

	*o = (struct options){
		.bootstrap = "127.0.0.1:9092",
		.topic = "load",
		.acks = "all",
		.codec = "none",
		.partitions = 4,
		.writers = 1,
		.messages = 1000000,
		.size = 100,
		.rounds = 5000,
		.rate = 5000,
		.seconds = 12,
		.commit_ms = 100,
	};
	if (argc < 2 || argv[1][0] == '-') {
		fputs(usage, stderr);
		exit(2);
	}
	o->mode = argv[1];
	while ((c = getopt(argc - 1, argv + 1, "b:t:T:a:z:il:p:w:n:s:R:f:d:c:P:X:")) != -1)
		parse_option(o, c);
}

/* --- clients --- */

static void set(rd_kafka_conf_t *conf, const char *key, const char *value)
{
	char why[512];

	if (rd_kafka_conf_set(conf, key, value, why, sizeof why) != RD_KAFKA_CONF_OK)
		die("%s", why);
}

static rd_kafka_t *client_new(const struct options *o, rd_kafka_type_t type, rd_kafka_conf_t *conf)
{
	char why[512], key[128];

	set(conf, "bootstrap.servers", o->bootstrap);
	for (size_t i = 0; i < o->property_count; i++) {
		const char *equals = strchr(o->properties[i], '=');
		if (!equals || (size_t)(equals - o->properties[i]) >= sizeof key)
			die("-X wants KEY=VALUE");
		snprintf(key, sizeof key, "%.*s", (int)(equals - o->properties[i]),
			 o->properties[i]);
		set(conf, key, equals + 1);
	}
	rd_kafka_t *rk = rd_kafka_new(type, conf, why, sizeof why);
	if (!rk)
		die("%s", why);
	return rk;
}

rd_kafka_t *producer_new(const struct options *o, void *opaque,
			 void (*on_delivery)(rd_kafka_t *, const rd_kafka_message_t *, void *))
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "acks", o->acks);
	set(conf, "compression.codec", o->codec);
	if (o->linger_ms)
		set(conf, "linger.ms", o->linger_ms);
	set(conf, "enable.idempotence", o->is_idempotent ? "true" : "false");
	if (o->transactional_id)
		set(conf, "transactional.id", o->transactional_id);
	rd_kafka_conf_set_opaque(conf, opaque);
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	return client_new(o, RD_KAFKA_PRODUCER, conf);
}

rd_kafka_t *consumer_new(const struct options *o)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	set(conf, "group.id", "kload");
	set(conf, "enable.auto.commit", "false");
	set(conf, "auto.offset.reset", "error");
	if (o->isolation)
		set(conf, "isolation.level", o->isolation);
	return client_new(o, RD_KAFKA_CONSUMER, conf);
}

void consumer_assign(rd_kafka_t *consumer, const struct options *o, int64_t at)
{
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(o->partitions);

	for (int i = 0; i < o->partitions; i++)
		rd_kafka_topic_partition_list_add(list, o->topic, i)->offset = at;
	rd_kafka_resp_err_t err = rd_kafka_assign(consumer, list);
	if (err)
		die("assign: %s", rd_kafka_err2str(err));
	rd_kafka_topic_partition_list_destroy(list);
}

/* --- payload: words drawn from a little vocabulary --- */

static char *pool;
static size_t pool_len, pool_step;
#define POOL_BYTES (4u << 20)

void payload_init(long size)
{
	static const char syllables[][3] = {"ka", "ro", "mi", "ta", "ne", "so",
					    "lu", "vi", "de", "po", "na", "ri"};
	uint64_t random = 88172645463325252u;

	pool_len = POOL_BYTES;
	pool_step = (size_t)size;
	pool = malloc(pool_len + (size_t)size);
	for (size_t i = 0; i < pool_len + (size_t)size; i += 2) {
		random ^= random << 13;
		random ^= random >> 7;
		random ^= random << 17;
		const char *s = random % 9 < 2 ? ". " : syllables[random / 16 % 12];
		pool[i] = s[0];
		if (i + 1 < pool_len + (size_t)size)
			pool[i + 1] = s[1];
	}
}

const void *payload_at(int64_t i)
{
	return pool + (size_t)i * pool_step % pool_len;
}

/* --- clocks --- */

int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

double cpu_self(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
	       1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

double cpu_of(long pid)
{
	char path[64], line[1024];
	unsigned long user = 0, system = 0;

	if (!pid)
		return 0;
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	FILE *f = fopen(path, "r");
	if (!f || !fgets(line, sizeof line, f))
		die("%s: %s", path, strerror(errno));
	fclose(f);
	const char *after_name = strrchr(line, ')');
	if (!after_name ||
	    sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &user,
		   &system) != 2)
		die("%s: not understood", path);
	return (double)(user + system) / (double)sysconf(_SC_CLK_TCK);
}

void latencies_add(struct latencies *l, int64_t ns)
{
	if (l->count == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 65536;
		l->ns = realloc(l->ns, l->cap * sizeof *l->ns);
		if (!l->ns)
			die("out of memory");
	}
	l->ns[l->count++] = ns;
}

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
	return (x > y) - (x < y);
}

double latencies_percentile(struct latencies *l, double p)
{
	if (!l->count)
		return 0;
	qsort(l->ns, l->count, sizeof *l->ns, compare);
	size_t at = (size_t)((double)(l->count - 1) * p / 100);
	return (double)l->ns[at] / 1000;
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		void (*run)(const struct options *);
	} modes[] = {
		{"create", run_create},
		{"produce", run_produce},
		{"consume", run_consume},
		{"rtt", run_round_trip},
		{"rate", run_rate},
		{"txn", run_transactions},
		{"txn-produce", run_transactional_produce},
		{"txn-copy", run_transactional_copy},
	};
	struct options o;

	options_parse(&o, argc, argv);
	if (!strcmp(o.mode, "txn-copy") && !o.target)
		die("txn-copy needs -T");
	for (size_t i = 0; i < sizeof modes / sizeof *modes; i++) {
		if (strcmp(modes[i].name, o.mode))
			continue;
		payload_init(o.size);
		modes[i].run(&o);
		return 0;
	}
	fputs(usage, stderr);
	return 2;
}

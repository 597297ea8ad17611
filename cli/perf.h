/* perf.h - what the measuring verbs share: the kernel's counters, rows of figures, a scratch
 * directory, topics filled with the generator's records.
 */
#ifndef CLI_PERF_H
#define CLI_PERF_H

#include "broker/broker.h"
#include "cli/histogram.h"
#include "cli/option.h"
#include "cli/perf_input.h"

/* --- counters of this process --- */

struct perf_span {
	int64_t begin_ns;
	double begin_cpu_s;
};

int64_t perf_now_ns(void); /* monotonic */
void perf_begin(struct perf_span *s);
double perf_seconds(const struct perf_span *s);
double perf_cpu_seconds(const struct perf_span *s); /* of all threads */
/* Peak resident memory since the last perf_forget_peak, or since the start. */
int64_t perf_peak_bytes(void);
void perf_forget_peak(void);
/* Sleeps until the moment, which may lie in the past. */
void perf_sleep_until(int64_t moment_ns);

/* --- rows of figures on stdout: aligned columns, or one JSON object per line --- */

#define PERF_CELLS_MAX 20

struct perf_cell {
	const char *name; /* static; snake_case */
	char text[48];
	bool is_text;
};

struct perf_rows {
	bool is_json;
	struct perf_cell cells[PERF_CELLS_MAX]; /* of the row under way */
	size_t count;
	const char *shown[PERF_CELLS_MAX]; /* the names of the last header */
	size_t shown_count;
};

/* --format text|json; false: said. */
bool perf_rows_init(struct perf_rows *rows, const struct options *o);
void perf_text(struct perf_rows *rows, const char *name, const char *value);
void perf_number(struct perf_rows *rows, const char *name, double value, int decimals);
/* p50 and p99 in ms; nothing recorded: none. */
void perf_quantiles(struct perf_rows *rows, const struct histogram *ns);
/* Prints the row, below a header if its columns are not those of the row before. */
void perf_row(struct perf_rows *rows);

/* --- a scratch directory --- */

/* A new directory in --data or, without it, in $TMPDIR or /var/tmp. It goes away with
 * perf_scratch_remove, and when SIGINT or SIGTERM arrives before. NULL: said. One at a time. */
const char *perf_scratch_make(const struct options *o);
void perf_scratch_remove(void);

/* --- topics --- */

/* The event times of the records are years old: nothing of these topics expires. */
enum ks_err perf_topic_create(struct broker *b, const char *name, int32_t partitions,
			      struct ks_why *why);

/* Appends records of the generator to a topic, each to the partition of its key. One thread. */
struct perf_feed;
struct perf_feed *perf_feed_new(struct broker *b, struct topic *t, const struct input_spec *input,
				size_t batch_bytes, enum acks acks);
/* Record i joins its partition's batch, which is sent once it is full. */
void perf_feed_add(struct perf_feed *f, int64_t i);
/* Sends the batches that are not full. */
void perf_feed_send(struct perf_feed *f);
/* Sends, waits until everything is answered, and frees f. The first error that happened. */
enum ks_err perf_feed_finish(struct perf_feed *f, struct ks_why *why);

/* Feeds records from..from+count-1 in batches of 64 KiB and has the store flush them. */
enum ks_err perf_fill(struct broker *b, struct topic *t, const struct input_spec *input,
		      int64_t from, int64_t count, struct ks_why *why);

/* --- the command line --- */

/* Rows of the option tables of all verbs that make records. */
#define PERF_INPUT_OPTIONS                                                                         \
	{.letter = 'n',                                                                            \
	 .name = "num",                                                                            \
	 .type = OPTION_NUMBER,                                                                    \
	 .arg = "N",                                                                               \
	 .fallback = "1000000",                                                                    \
	 .help = "records"},                                                                       \
		{.name = "record-bytes",                                                           \
		 .name_too = "record-size",                                                        \
		 .type = OPTION_NUMBER,                                                            \
		 .arg = "BYTES",                                                                   \
		 .fallback = "256",                                                                \
		 .help = "bytes of a value"},                                                      \
		{.name = "users",                                                                  \
		 .type = OPTION_NUMBER,                                                            \
		 .arg = "N",                                                                       \
		 .fallback = "10000",                                                              \
		 .help = "different keys"},                                                        \
		{.name = "distinct", .help = "the keys in turn, not at random"},                   \
		{.name = "repeats",                                                                \
		 .type = OPTION_NUMBER,                                                            \
		 .arg = "PERCENT",                                                                 \
		 .fallback = "0",                                                                  \
		 .help = "so many of a hundred records are an earlier one again"},                 \
	{                                                                                          \
		.name = "seed", .type = OPTION_NUMBER, .arg = "N", .fallback = "1",                \
		.help = "another seed, other records"                                              \
	}
#define PERF_FORMAT_OPTION                                                                         \
	{                                                                                          \
		.name = "format", .type = OPTION_TEXT, .arg = "FORMAT", .fallback = "text",        \
		.help = "text, or json: one object per line"                                       \
	}

/* Whether a number among the options lies within these; says what it has to be. */
bool perf_in_range(const struct options *o, const char *name, int64_t min, int64_t max);
/* The input that those options describe; false: out of range, and it is said. */
bool perf_input_spec(const struct options *o, struct input_spec *out);

#endif

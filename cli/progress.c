/* progress.c - see progress.h. */
#include "cli/progress.h"

#include <stdio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/log.h"

#define NS             1000000000LL
#define BAR_CELLS      24
#define REDRAW_NS      (NS / 10)
#define LOG_NS         (10 * NS)
#define TERMINAL_WIDTH 80

static double rate_of(const struct progress *p, int64_t now_ns)
{
	double seconds = (double)(now_ns - p->begin_ns) / (double)NS;

	return seconds > 0 ? (double)p->done / seconds : 0;
}

/* 999, 12.3 k, 4.56 M */
static void append_count(struct buf *out, double n)
{
	static const char units[] = {'k', 'M', 'G', 'T'};
	int unit = -1;

	while (n >= 1000 && unit < 3) {
		n /= 1000;
		unit++;
	}
	if (unit < 0)
		buf_printf(out, "%.0f", n);
	else
		buf_printf(out, "%.*f %c", n < 10 ? 2 : n < 100 ? 1 : 0, n, units[unit]);
}

static void append_seconds(struct buf *out, int64_t s)
{
	if (s < 60)
		buf_printf(out, "%lld s", (long long)s);
	else if (s < 3600)
		buf_printf(out, "%lld:%02lld", (long long)(s / 60), (long long)(s % 60));
	else
		buf_printf(out, "%lld:%02lld:%02lld", (long long)(s / 3600),
			   (long long)(s / 60 % 60), (long long)(s % 60));
}

static bool has_eta(const struct progress *p, double rate)
{
	return p->total >= 0 && p->done < p->total && rate > 0;
}

/* How fast it goes, and for how long still. */
static void append_rate(const struct progress *p, double rate, struct buf *out)
{
	append_count(out, rate);
	buf_append_str(out, "/s");
	if (!has_eta(p, rate))
		return;
	buf_append_str(out, ", ");
	append_seconds(out, (int64_t)((double)(p->total - p->done) / rate) + 1);
	buf_append_str(out, " left");
}

void progress_bar(const struct progress *p, int64_t now_ns, size_t columns, struct buf *out)
{
	double rate = rate_of(p, now_ns);
	size_t start = out->len;

	buf_printf(out, "%s ", p->label);
	if (p->total > 0) {
		int64_t done = p->done < p->total ? p->done : p->total;
		int filled = (int)((double)done / (double)p->total * BAR_CELLS);
		buf_append_u8(out, '[');
		for (int i = 0; i < BAR_CELLS; i++)
			buf_append_u8(out, i < filled ? '#' : '.');
		buf_printf(out, "] %d%% ", (int)((double)done / (double)p->total * 100));
	}
	buf_printf(out, "%lld records, ", (long long)p->done);
	append_rate(p, rate, out);
	if (out->len - start > columns)
		out->len = start + columns;
}

void progress_sentence(const struct progress *p, int64_t now_ns, struct buf *out)
{
	double rate = rate_of(p, now_ns);

	buf_printf(out, "%s: %lld records", p->label, (long long)p->done);
	if (p->total >= 0)
		buf_printf(out, " of %lld", (long long)p->total);
	buf_printf(out, " in %.1f s, ", (double)(now_ns - p->begin_ns) / (double)NS);
	append_rate(p, rate, out);
}

void progress_begin(struct progress *p, const char *label, int64_t total)
{
	if (!p->clock)
		p->clock = &clock_real;
	p->label = label;
	p->total = total;
	p->done = 0;
	p->is_terminal = isatty(STDERR_FILENO);
	p->begin_ns = clock_monotonic_ns(p->clock);
	/* What is over in half a second needs no bar. */
	p->next_ns = p->begin_ns + (p->is_terminal ? NS / 2 : LOG_NS);
}

static size_t terminal_columns(void)
{
	struct winsize size;

	if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 1)
		return size.ws_col - 1u;
	return TERMINAL_WIDTH - 1;
}

static void put(const struct buf *text)
{
	fwrite(text->data, 1, text->len, stderr);
	fflush(stderr);
}

static void draw(struct progress *p, int64_t now_ns)
{
	struct buf line = {0};

	if (p->is_terminal) {
		buf_append_str(&line, "\r");
		progress_bar(p, now_ns, terminal_columns(), &line);
		buf_append_str(&line, "\033[K");
		put(&line);
		p->is_drawn = true;
		p->next_ns = now_ns + REDRAW_NS;
	} else {
		progress_sentence(p, now_ns, &line);
		log_info("progress", "%s", buf_cstr(&line));
		p->next_ns = now_ns + LOG_NS;
	}
	buf_fini(&line);
}

void progress_update(struct progress *p, int64_t done)
{
	p->done = done;
	if (p->is_silent)
		return;
	int64_t now = clock_monotonic_ns(p->clock);
	if (now >= p->next_ns)
		draw(p, now);
}

void progress_end(struct progress *p)
{
	struct buf line = {0};

	if (!p->is_drawn)
		return;
	buf_append_str(&line, "\r\033[K");
	progress_sentence(p, clock_monotonic_ns(p->clock), &line);
	buf_append_u8(&line, '\n');
	put(&line);
	buf_fini(&line);
	p->is_drawn = false;
}

/* metrics_text.h - all figures of a broker as Prometheus reads them. docs/monitoring.md lists them. */
#ifndef SERVER_METRICS_TEXT_H
#define SERVER_METRICS_TEXT_H

#include "server/server.h"

/* Series for each partition are told while there are at most so many partitions (of topics, and
 * of groups); beyond that somebody has to ask for them. */
#define METRICS_PARTITIONS_MAX 1000

/* Appends what is known of the process; of the server too, unless s is NULL. is_full: with a series for
 * each partition, however many there are. Any thread; waits for the shard, which is asked for the groups. */
void metrics_text(struct server *s, bool is_full, struct buf *out);

/* The parts. */
void metrics_text_process(struct buf *out);
void metrics_text_topics(struct broker *b, bool is_full, struct buf *out);
void metrics_text_members(struct broker *b, struct buf *out);
void metrics_text_groups(struct broker *b, bool is_full, struct buf *out);

#endif

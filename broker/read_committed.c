/* read_committed.c - a reader's view of committed records, see broker.h. */
#include <stdlib.h>

#include "base/seeded.h"
#include "broker/broker.h"

static enum ks_err find_aborted(struct partition *p, const struct chunk *chunk,
				struct aborted_batches *aborted, struct ks_why *why)
{
	struct aborted_transaction *rows;
	size_t count;
	enum ks_err err = partition_aborted(p, chunk, 1, true, &rows, &count, why);

	if (err)
		return err;
	struct fetch_response_aborted_transaction *told =
		count ? xcalloc(count, sizeof *told) : NULL;
	for (size_t i = 0; i < count; i++)
		told[i] = (struct fetch_response_aborted_transaction){rows[i].producer_id,
								      rows[i].first_offset};
	aborted_batches_find(aborted, chunk->bytes, told, count);
	free(told);
	free(rows);
	return ERR_NONE;
}

enum ks_err reader_read_committed(struct reader *r, struct partition *p, int64_t offset,
				  size_t max_bytes, struct chunk *out,
				  struct aborted_batches *aborted, struct ks_why *why)
{
	/* Before the records, and they before what was aborted. */
	int64_t end =
		KS_SEEDED_BUG(1081) ? partition_high_watermark(p) : partition_last_stable_offset(p);
	struct chunk chunk;
	enum ks_err err = reader_read_to(r, offset, end, max_bytes, &chunk, why);

	if (err)
		return err;
	err = find_aborted(p, &chunk, aborted, why);
	if (err) {
		chunk_fini(&chunk);
		return err;
	}
	*out = chunk;
	return ERR_NONE;
}

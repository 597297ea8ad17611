/* record.h - a record on its way through the steps of a flow: typed, lazy, untouched until someone looks.
 *
 * A datum starts as the bytes of the log plus the serde that says how to read them. JSON is parsed when the first
 * step reads it, and written anew only if a step changed it; otherwise its bytes are copied as they came.
 * Everything a record points to lives in the fetched chunk or in the task's record arena: until the top-level
 * record has been processed, no longer.
 */
#ifndef STREAMS_RECORD_H
#define STREAMS_RECORD_H

#include "base/err.h"
#include "base/mem.h"
#include "streams/doc.h"

enum serde { SERDE_JSON, SERDE_STRING, SERDE_BYTES, SERDE_I64, SERDE_F64, SERDE_COUNT };

const char *serde_name(enum serde s);
bool serde_from_name(const char *name, enum serde *s);
/* All names, NULL-terminated, for suggestions. */
extern const char *const serde_names[];

enum datum_kind {
	DATUM_NULL, /* Kafka's null: no key, or a tombstone */
	DATUM_BYTES,
	DATUM_STRING, /* UTF-8 by convention, not checked */
	DATUM_I64,
	DATUM_F64,
	DATUM_JSON, /* text in bytes; doc once parsed, and then doc rules if dirty */
};

struct datum {
	enum datum_kind kind;
	struct slice bytes; /* BYTES, STRING, JSON */
	int64_t i64;
	double f64;
	struct doc *doc; /* JSON: NULL until parsed */
};

struct rec {
	struct datum key, value;
	int64_t timestamp;    /* ms */
	struct slice headers; /* encoded, as wire/batch.h has them */
	int32_t header_count;
	/* where the record came from */
	const char *topic;
	int32_t partition;
	int64_t offset;
};

/* What decoding needs: one per thread. */
struct record_context {
	struct doc_parser *parser;
	struct arena *arena; /* of the record under way */
	struct buf *
		scratch; /* where documents are written before they go to the arena; NULL: a fresh one each time */
};

/* Wraps the bytes of the log. I64 and F64 are 8 bytes big-endian, as Java's Long and Double serdes.
 * ERR_DECODE: wrong length. JSON is not looked at yet. */
enum ks_err datum_decode(enum serde s, struct slice bytes, struct datum *out, struct ks_why *why);
/* Parses JSON if that has not happened. *doc is NULL for other kinds. ERR_DECODE, ERR_TOO_LARGE. */
enum ks_err datum_doc(struct record_context *c, struct datum *d, struct doc **doc,
		      struct ks_why *why);
/* Bytes for the log. Copies nothing where the datum is untouched and of that serde already; otherwise the bytes go
 * into the arena. SERDE_STRING takes strings, and numbers as text; SERDE_JSON takes everything (bytes must be UTF-8 and
 * become a string); SERDE_I64 takes integers. ERR_ENCODE: it does not fit; why says what was there. */
enum ks_err datum_encode(struct record_context *c, enum serde s, struct datum *d, struct slice *out,
			 struct ks_why *why);
/* The value at a path; a missing one gives *found = false. Non-JSON data have no paths: ERR_DECODE. A string found
 * is DATUM_STRING, a number I64 or F64 (beyond 64 bits: JSON text), null DATUM_NULL, anything else JSON text. */
enum ks_err datum_path(struct record_context *c, struct datum *d, const struct doc_path *path,
		       struct datum *out, bool *found, struct ks_why *why);

/* The whole datum as a scalar, as datum_path gives it: JSON text becomes a string, a number or null. */
enum ks_err datum_scalar(struct record_context *c, struct datum *d, struct datum *out,
			 struct ks_why *why);
/* false, null and nothing are false; all else is true, as in Lua. */
bool datum_is_truthy(const struct datum *d);
/* What it is, for messages: "an object", "the string", "an integer". */
const char *datum_describe(struct record_context *c, struct datum *d);

#endif

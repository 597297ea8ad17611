/* schema.h - Kafka's messages as tables: what a field is, in which versions it lives, and the two
 * functions that walk a table to read and to write a message of any version.
 *
 * A message is one plain struct for all versions (messages.h). Reading sets the fields that a version
 * lacks to their defaults; writing leaves them out. Formats: KIP-482 for the flexible versions
 * (compact lengths, tagged fields), the older one below them.
 *
 * Reading borrows: strings, bytes and records point into the bytes that are read; arrays and nested
 * structs live in the reader's arena. A reader fails once and stays failed: what is read after that is
 * zeros, so that only the end has to be looked at.
 */
#ifndef WIRE_SCHEMA_H
#define WIRE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/mem.h"

enum wire_kind {
	WIRE_BOOL,
	WIRE_INT8,
	WIRE_INT16,
	WIRE_INT32,
	WIRE_INT64,
	WIRE_UUID,
	WIRE_STRING,  /* struct slice; data == NULL: null */
	WIRE_BYTES,   /* likewise */
	WIRE_RECORDS, /* struct wire_records */
	WIRE_STRUCT
};

struct wire_uuid {
	uint8_t bytes[16];
};

/* Bytes that somebody else holds. frame == NULL: they are borrowed and get copied when written. */
struct wire_ref {
	struct frame *frame;
	struct slice bytes;
};

/* Record batches, in pieces that follow each other. n == -1: null. Read ones have one piece (or none, when empty) without
 * a frame. */
struct wire_records {
	struct wire_ref *v;
	int32_t n;
};

typedef bool wire_bool;
typedef int8_t wire_int8;
typedef int16_t wire_int16;
typedef int32_t wire_int32;
typedef int64_t wire_int64;

#define WIRE_VERSION_MAX 32000
#define WIRE_NEVER       32001 /* as the first flexible version: there is none */

struct wire_desc;

/* One field. Versions are inclusive. */
struct wire_field {
	uint16_t offset;    /* in the struct */
	uint8_t kind;       /* enum wire_kind */
	bool is_array;      /* struct { T *v; int32_t n; }; n == -1: null */
	bool is_nested;     /* T *: NULL is null, or a tagged field that is left out */
	bool is_error;      /* an error code: WIRE_INT16, not an array */
	int16_t since;      /* first version */
	int16_t until;      /* 1 + last version; 0: no end */
	int16_t null_since; /* 1 + first version in which it may be null; 0: never */
	int16_t tag;        /* 1 + tag; 0: not tagged */
	int64_t dflt; /* of numbers; of an array -1: null; of other kinds zero, empty or null */
	const struct wire_desc *(*sub)(void); /* of WIRE_STRUCT */
};

struct wire_desc {
	const char *name;
	const struct wire_field *fields;
	uint16_t field_count;
	uint16_t size; /* of the struct */
};

/* --- reading --- */

struct wire_reader {
	const uint8_t *p, *end;
	struct arena *arena;
	size_t arena_left; /* bytes that may still be taken from it */
	int16_t version;
	bool is_flexible;
	bool ignores_rest; /* set after init: bytes behind the message are no failure */
	enum ks_err err;   /* ERR_NONE, or what stopped it */
	const char *field; /* static: the struct that was being read then */
};

/* arena_max bounds what the message may take from the arena, above what its own bytes need. */
void wire_reader_init(struct wire_reader *r, struct slice bytes, int16_t version,
		      int16_t first_flexible, struct arena *arena, size_t arena_max);
/* Reads a whole message; msg is all zeros and defaults after a failure.
 *   ERR_MALFORMED  the bytes are not such a message: too short, a count over what is left, null where
 *                  it may not be, a number in a form longer than needed, tags out of order
 *   ERR_TOO_LARGE  it would take more memory than arena_max */
enum ks_err wire_read(struct wire_reader *r, const struct wire_desc *d, void *msg);

/* Headers are read and written by hand with these. */
int16_t wire_read_int16(struct wire_reader *r);
int32_t wire_read_int32(struct wire_reader *r);
struct slice wire_read_string(struct wire_reader *r, bool is_compact, bool is_nullable);
void wire_skip_tags(struct wire_reader *r);

/* --- writing --- */

#define WIRE_OUT_ERRORS 4

/* Bytes to send: our own, and between them references to frames, so that record batches are not
 * copied. Zero-initialise. */
struct wire_out {
	struct buf bytes;
	struct wire_out_ref {
		size_t at;           /* before this byte of bytes */
		struct wire_ref ref; /* holds a reference to its frame */
	} * refs;
	size_t ref_count, ref_cap;
	size_t total; /* bytes, references included */

	/* The error codes that were written, but for 0. Should there be more than fit, those that come later are not
	 * counted. */
	struct wire_out_error {
		int16_t code;
		uint32_t count;
	} errors[WIRE_OUT_ERRORS];
	int error_count;
};

void wire_out_fini(struct wire_out *o);
/* Empties it, keeps its memory. */
void wire_out_clear(struct wire_out *o);

/* Appends a message to o. Takes a reference on every frame that it mentions. Null where the version
 * knows none is written as empty. A string of more than 32767 bytes is our bug and asserts: what a
 * peer chose must be bounded before. */
void wire_write(struct wire_out *o, const struct wire_desc *d, const void *msg, int16_t version,
		int16_t first_flexible);
/* Sets every field to its default. */
void wire_defaults(const struct wire_desc *d, void *msg);

#endif

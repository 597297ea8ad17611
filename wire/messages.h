/* messages.h - the structs of all messages, made from the tables in wire/msg.
 *
 * STRUCT(name) in a table becomes struct name and const struct wire_desc *name_desc(void). Names are
 * Kafka's, in snake case; a struct inside a message is called after the message and the field that
 * holds it. How fields of each kind look in C is told in schema.h.
 *
 *     FIELD(kind, name, ...)    a number, string, ...
 *     LIST(kind, name, ...)     an array of those
 *     ARRAY(type, name, ...)    an array of structs, described above it
 *     NESTED(type, name, ...)   one such struct, by pointer
 *
 *     SINCE(v), UNTIL(v)        first and last version; unsaid: as long as the struct around it
 *     NULLABLE                  it may be null; NULLABLE_SINCE(v): in these versions
 *     TAG(n)                    it travels as tagged field n
 *     DEFAULT(x)                instead of 0; of an array -1: null
 */
#ifndef WIRE_MESSAGES_H
#define WIRE_MESSAGES_H

#include "wire/schema.h"

#define WIRE_C_BOOL    bool
#define WIRE_C_INT8    int8_t
#define WIRE_C_INT16   int16_t
#define WIRE_C_INT32   int32_t
#define WIRE_C_INT64   int64_t
#define WIRE_C_UUID    struct wire_uuid
#define WIRE_C_STRING  struct slice
#define WIRE_C_BYTES   struct slice
#define WIRE_C_RECORDS struct wire_records

#define STRUCT(name)                                                                               \
	struct name;                                                                               \
	const struct wire_desc *name##_desc(void);                                                 \
	struct name {
/* The empty last argument keeps ISO C happy. */
#define FIELD(...)              FIELD_(__VA_ARGS__, )
#define FIELD_(kind, name, ...) WIRE_C_##kind name;
#define LIST(...)               LIST_(__VA_ARGS__, )
#define LIST_(kind, name, ...)                                                                     \
	struct {                                                                                   \
		WIRE_C_##kind *v;                                                                  \
		int32_t n;                                                                         \
	} name;
#define ARRAY(...) ARRAY_(__VA_ARGS__, )
#define ARRAY_(type, name, ...)                                                                    \
	struct {                                                                                   \
		struct type *v;                                                                    \
		int32_t n;                                                                         \
	} name;
#define NESTED(...)              NESTED_(__VA_ARGS__, )
#define NESTED_(type, name, ...) struct type *name;
#define END                                                                                        \
	}                                                                                          \
	;

#include "wire/msg/all.def"

#undef STRUCT
#undef FIELD
#undef FIELD_
#undef LIST
#undef LIST_
#undef ARRAY
#undef ARRAY_
#undef NESTED
#undef NESTED_
#undef END

#endif

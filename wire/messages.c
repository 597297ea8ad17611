/* messages.c - the second reading of the tables: the descriptions that schema.c walks. */
#include "wire/messages.h"

#include <stddef.h>

/* 1 for a field that is called error_code, else 0: SECOND(ERROR_NAME_x, 0) has a second argument of its own
 * only if ERROR_NAME_x is a macro. */
#define ERROR_NAME_error_code       , 1
#define SECOND_(first, second, ...) second
#define SECOND(...)                 SECOND_(__VA_ARGS__, )
#define IS_ERROR(name)              SECOND(ERROR_NAME_##name, 0)

#define STRUCT(type)                                                                               \
	const struct wire_desc *type##_desc(void)                                                  \
	{                                                                                          \
		typedef struct type self;                                                          \
		static const char name[] = #type;                                                  \
		static const struct wire_field fields[] = {
#define FIELD(...) FIELD_(__VA_ARGS__, )
#define FIELD_(what, name, ...)                                                                    \
	{.kind = WIRE_##what,                                                                      \
	 .offset = offsetof(self, name),                                                           \
	 .is_error = IS_ERROR(name),                                                               \
	 __VA_ARGS__},
#define LIST(...) LIST_(__VA_ARGS__, )
#define LIST_(what, name, ...)                                                                     \
	{.kind = WIRE_##what, .is_array = true, .offset = offsetof(self, name), __VA_ARGS__},
#define ARRAY(...) ARRAY_(__VA_ARGS__, )
#define ARRAY_(type, name, ...)                                                                    \
	{.kind = WIRE_STRUCT,                                                                      \
	 .is_array = true,                                                                         \
	 .offset = offsetof(self, name),                                                           \
	 .sub = type##_desc,                                                                       \
	 __VA_ARGS__},
#define NESTED(...) NESTED_(__VA_ARGS__, )
#define NESTED_(type, name, ...)                                                                   \
	{.kind = WIRE_STRUCT,                                                                      \
	 .is_nested = true,                                                                        \
	 .offset = offsetof(self, name),                                                           \
	 .sub = type##_desc,                                                                       \
	 __VA_ARGS__},
#define END                                                                                        \
	}                                                                                          \
	;                                                                                          \
	static const struct wire_desc desc = {name, fields, sizeof fields / sizeof *fields,        \
					      sizeof(self)};                                       \
	return &desc;                                                                              \
	}
#define SINCE(version)          .since = (version)
#define UNTIL(version)          .until = (version) + 1
#define NULLABLE                .null_since = 1
#define NULLABLE_SINCE(version) .null_since = (version) + 1
#define TAG(number)             .tag = (number) + 1
#define DEFAULT(value)          .dflt = (value)

#include "wire/msg/all.def"

/* value.h - values between JSON documents and Lua.
 *
 *   JSON                       Lua
 *   null                       ks.null, a userdata; it is true in a condition, unlike nil
 *   true, false                booleans
 *   1, -7                      integers
 *   1.0, 1e3, -0               floats; they are written with a fraction or exponent again
 *   beyond both: 1e400, 2^64   a "big number" userdata: tostring gives its text, it is written so
 *   "text"                     strings
 *   objects, arrays            views: userdata that read and edit the document in place
 *   absent                     nil
 *
 * A view v: v.name, v[i] (from 1), assignment (nil removes a member or the last element; v[#v + 1]
 * appends), #v, pairs(v) in document order (members may be changed and removed on the way),
 * ipairs(v), v == w (by text), tostring(v) (JSON). table.insert, remove, concat, unpack and sort
 * take views of arrays. Values are copied when assigned. A view is good until value_next_record;
 * later use raises an error.
 *
 * Lua tables become JSON thus: a table made by ks.array, or with exactly the keys 1..n, n > 0, is
 * an array; one with string keys alone is an object, its members sorted by name, as is the empty
 * table. All else is an error that names its place, as in "at .items[2].price: NaN is not JSON":
 * mixed keys, holes, NaN, infinities, strings that are not UTF-8, functions, tables that contain
 * themselves.
 */
#ifndef LUA_VALUE_H
#define LUA_VALUE_H

#include <lua.h>

#include "base/err.h"
#include "base/mem.h"
#include "streams/doc.h"

/* Pushes node n of d: a scalar as itself, an object or array as a view. d must live until the next
 * value_next_record. */
void value_push_doc(lua_State *L, struct doc *d, doc_node n);
void value_push_null(lua_State *L);

/* All views made so far are over. Call it before a record's documents go away. What a script writes
 * into a record's documents takes memory of their arena: once that has more than the sandbox's
 * memory_max bytes in all, assignments raise. So reset it from time to time. */
void value_next_record(lua_State *L);

/* The document behind a view; NULL: not one (a scalar, a table), or over. Lets a value that came
 * from a record and returns unchanged go on without being written and parsed. */
struct doc *value_doc(lua_State *L, int index, doc_node *n);
bool value_is_null(lua_State *L, int index);

/* Appends the JSON text of any Lua value; nil is null. Outside of sandbox_call it never raises;
 * inside, if memory runs out. ERR_ENCODE     cannot be JSON; why names the place and the reason
 *   ERR_TOO_LARGE  longer than DOC_TEXT_MAX */
enum ks_err value_to_json(lua_State *L, int index, struct buf *out, struct ks_why *why);

/* Adds to the table on top of the stack:
 *   null              JSON's null
 *   array(t)          marks t as an array, for empty ones; returns it
 *   type(v)           "object" "array" "string" "number" "boolean" "null" "nil", else Lua's type
 *   table(v)          a view as plain tables, good for as long as wanted; arrays are marked, nulls
 * ks.null get(v, "a.b[0]")  follows a path (indexes from 0, as in all paths) in a view or table;
 * nil where it ends set(v, "a.b", x)  sets at a path, making the objects in between
 */
void value_register(lua_State *L);

#endif

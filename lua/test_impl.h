/* test_impl.h - the parts of `ksrun test`: the driver, the assertions, the runner. */
#ifndef LUA_TEST_IMPL_H
#define LUA_TEST_IMPL_H

#include <lua.h>

/* Pushes the table that `require "ks.test"` returns. */
void test_driver_push(lua_State *L);
/* Pushes the callable table `assert`. */
void test_assert_push(lua_State *L);

/* Pushes the value at idx as plain tables all the way down, good after the record: a view is copied, all else is
 * itself. May raise. */
void test_push_plain(lua_State *L, int idx);

#endif

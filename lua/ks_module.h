/* ks_module.h - what `require "ks"` gives a script. */
#ifndef LUA_KS_MODULE_H
#define LUA_KS_MODULE_H

#include "lua/helpers.h"
#include "lua/sandbox.h"
#include "lua/script.h"

/* Makes the module and preloads it. The texts of params live as long as the sandbox. */
void ks_module_open(struct sandbox *s, const struct script_param *params, size_t param_count);

/* Whether the value at idx is ks.tombstone, Kafka's null. */
bool ks_is_tombstone(lua_State *L, int idx);

#endif

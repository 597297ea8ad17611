-- Keeps the orders, by a path that is read in C: a job that calls no Lua.
local ks = require "ks"

return ks.job "bench-c-filter" {
  defaults = { key = "string", value = "json" },
  flows = {
    filter = {
      ks.from "in",
      ks.split {
        { when = { path = "type", equals = "order" }, ks.to "orders" },
      },
    },
  },
}

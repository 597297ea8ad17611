-- The job that the crash harness kills: a split, a count, and a count behind a repartition.
local ks = require "ks"

return ks.job "crash" {
  guarantee = ks.param("guarantee", "exactly_once"),
  defaults = { key = "string", value = "json" },
  flows = {
    split = {
      ks.from "in",
      ks.reject(function(v) return v.type == "view" end),
      ks.split {
        { when = function(v) return v.type == "order" end, ks.to "orders" },
        { ks.to "rest" },
      },
    },
    by_user = {
      ks.from "in",
      ks.count { as = "users" },
      ks.to "users",
    },
    by_country = {
      ks.from "in",
      ks.group "country",
      ks.count { as = "countries" },
      ks.to "countries",
    },
  },
}

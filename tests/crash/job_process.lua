-- The second job for the crash harness: decisions that hang on stream time, a store of the script's own whose values
-- outgrow their room, and ids behind a repartition.
local ks = require "ks"

return ks.job "crash-process" {
  guarantee = ks.param("guarantee", "exactly_once"),
  commit = ks.param("commit", "0ms"),
  cache = ks.param("cache", "1MiB"),
  defaults = { key = "string", value = "json" },
  on_error = ks.dead_letter "dead",
  flows = {
    -- Times of records jump forth and back: which user counts as new depends on the latest time so far.
    fresh = {
      ks.from { "in", time = "at" },
      ks.dedup { by = "user", within = "2s", as = "seen" },
      ks.to "fresh",
    },
    -- Fails after it has written and counted; what it did must be undone.
    thirds = {
      ks.from { "in", time = "at" },
      ks.process {
        as = "visits",
        on_record = function(ctx, v, user)
          local visits = ctx.state[user] or { n = 0, ids = {} }
          local ids = {}
          for i = 1, #visits.ids do ids[i] = visits.ids[i] end
          if #ids > 40 then ids = {} end
          ids[#ids + 1] = v.id
          ctx.state[user] = { n = visits.n + 1, ids = ids }
          ctx.state.all = (ctx.state.all or 0) + 1
          if visits.n % 3 == 2 then ctx:forward { n = visits.n + 1, all = ctx.state.all, time = ctx.time } end
          if v.type == "refund" then error("no refunds") end
        end,
      },
      ks.to "thirds",
    },
    -- In which order the users of a country come is left open, how many there are is not.
    country_users = {
      ks.from "in",
      ks.group "country",
      ks.dedup { by = function(v) return v.country .. v.user end, as = "users_seen" },
      ks.count { as = "country_users" },
      ks.to "country_users",
    },
  },
}

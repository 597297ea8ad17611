-- Drops events that came before, and raises an alert when a value triples: state that is part of the commit.
--
-- Run me:   ksrun topic create events
--           for i in 1 1 2; do echo "{\"event_id\":$i,\"value\":$i}"; done | ksrun topic produce events -k s1
--           ksrun run --once examples/dedup.lua
--           ksrun topic consume events.unique -o :end
-- Test me:  ksrun test examples/dedup_test.lua
local ks = require "ks"

return ks.job "unique-events" {
  defaults = { key = "string", value = "json" },

  flows = {
    unique = {
      ks.from "events",
      ks.dedup { by = "event_id", within = "24h" },
      ks.to "events.unique",
    },
    spikes = {
      ks.from "events.unique",
      ks.process {
        as = "last_value",                               -- a store of our own
        on_record = function(ctx, v, sensor)
          local last = ctx.state[sensor]
          ctx.state[sensor] = v.value
          if last and v.value > 3 * last then
            ctx:forward { sensor = sensor, was = last, now = v.value }
          end
        end,
      },
      ks.to "alerts",
    },
  },
}

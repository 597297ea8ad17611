-- Drops a record whose id was seen in the last 1000 seconds of event time.
local ks = require "ks"

return ks.job "bench-dedup" {
  defaults = { key = "string", value = "json" },
  flows = {
    dedup = {
      ks.from "in",
      ks.dedup { by = "id", within = "1000s" },
      ks.to "unique",
    },
  },
}

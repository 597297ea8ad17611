-- Rejects views, writes the country in capitals, routes by type: three calls into Lua for a record.
local ks = require "ks"

return ks.job "bench-split" {
  defaults = { key = "string", value = "json" },
  flows = {
    split = {
      ks.from "in",
      ks.reject(function(v) return v.type == "view" end),
      ks.map(function(v)
        v.country = v.country:upper()
        return v
      end),
      ks.to(function(v) return v.type .. "s" end),
    },
  },
}

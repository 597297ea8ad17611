-- Records per user; every update goes out.
local ks = require "ks"

return ks.job "bench-count" {
  defaults = { key = "string", value = "bytes" },
  flows = {
    count = {
      ks.from "in",
      ks.group(),
      ks.count(),
      ks.to { "counts", value = "i64" },
    },
  },
}

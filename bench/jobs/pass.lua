-- Bytes in, bytes out: what it costs to move a record that no step looks at.
local ks = require "ks"

return ks.job "bench-pass" {
  defaults = { key = "bytes", value = "bytes" },
  flows = {
    pass = { ks.from "in", ks.to "out" },
  },
}

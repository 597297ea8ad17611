-- Checks payments; what fails goes to a topic of its own, with the reason and the line of the script.
--
-- Run me:   ksrun topic create payments -p 4
--           echo '{"cents":-1}' | ksrun topic produce payments
--           ksrun run --once examples/dead_letter.lua
--           ksrun topic consume payments.rejected -o :end -f '%v\n%h{  %k = %v\n}'
-- Test me:  ksrun test examples/dead_letter_test.lua
local ks = require "ks"

local function checked(v)                                -- assert and error reject the record
  assert(math.type(v.cents) == "integer", "cents must be an integer")
  assert(v.cents > 0, "cents must be positive")
  return v
end

return ks.job "check-payments" {
  guarantee = "exactly_once",                            -- the default, spelt out
  commit    = "100ms",                                   -- at the latest
  defaults  = { key = "string", value = "json" },
  on_error  = ks.dead_letter {
    topic = "payments.rejected",                         -- in the same commit as the rest
    after = ks.retry { times = 2, backoff = "50ms" },
  },
  topics = {
    ["payments"]          = { partitions = 4 },
    ["payments.ok"]       = { partitions = 4 },
    ["payments.rejected"] = { value = "bytes" },
  },
  flows = {
    check = { ks.from "payments", ks.map(checked), ks.to "payments.ok" },
  },
}

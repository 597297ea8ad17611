-- Sends each order to one of two topics by its amount.
--
-- Run me:   ksrun topic create orders -p 6
--           echo '{"id":"o-1","amount":1500}' | ksrun topic produce orders
--           ksrun run --once examples/split.lua
--           ksrun topic consume orders.large -o :end
-- Test me:  ksrun test examples/split_test.lua
--
--   -p large_from=500    an order is large from this amount on; 1000 if not said
local ks = require "ks"

local large_from = tonumber(ks.param("large_from", "1000"))

return ks.job "split-orders" {
  defaults = { key = "string", value = "json" },
  on_error = ks.dead_letter "orders.rejected",

  topics = {
    ["orders"]          = { partitions = 6 },
    ["orders.large"]    = { partitions = 6, retention = "30d" },
    ["orders.small"]    = { partitions = 6 },
    ["orders.rejected"] = { value = "bytes" },          -- keeps undecodable input as it came
  },

  flows = {
    by_amount = {
      ks.from "orders",
      ks.split {
        { when = function(order) return order.amount >= large_from end, ks.to "orders.large" },
        { ks.to "orders.small" },                       -- no `when`: everything else
      },
    },
  },
}

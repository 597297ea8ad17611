-- Joins two streams of sensor readings, drops tests and broken sensors, converts, and sends hot ones elsewhere.
--
-- Run me:   ksrun topic create readings.north readings.south
--           echo '{"sensor":"n1","fahrenheit":212}' | ksrun topic produce readings.north
--           ksrun run --once examples/filter_map.lua
--           ksrun topic consume readings.hot -o :end
-- Test me:  ksrun test examples/filter_map_test.lua
local ks = require "ks"

local function celsius(fahrenheit)                       -- ordinary Lua, testable alone
  return (fahrenheit - 32) * 5 / 9
end

return ks.job "celsius" {
  defaults = { key = "string", value = "json" },
  on_error = ks.skip,                                    -- readings come again in a minute

  flows = {
    convert = {
      ks.from { "readings.north", "readings.south" },    -- several topics: a merge
      ks.reject "test",                                  -- a path: read without calling Lua
      ks.filter(function(v) return math.type(v.fahrenheit) ~= nil end),
      ks.map(function(v, _, rec)
        return { sensor = v.sensor, celsius = celsius(v.fahrenheit), hall = rec.topic:match "%.(%a+)$" }
      end),
      ks.rekey "sensor",
      ks.to(function(v) return v.celsius > 50 and "readings.hot" or "readings.celsius" end),
    },
  },
}

local test = require "ks.test"

describe("filter_map", function()
  local t

  before_each(function() t = test.driver(dofile "filter_map.lua") end)

  it("converts and takes the sensor as the key", function()
    t:send("readings.north", { value = { sensor = "n1", fahrenheit = 32 } })
    local r = t:take "readings.celsius"
    assert.equal("n1", r.key)
    assert.same({ sensor = "n1", celsius = 0.0, hall = "north" }, r.value)
  end)

  it("sends what is above 50 degrees to readings.hot", function()
    t:send("readings.south", { value = { sensor = "s1", fahrenheit = 212 } })
    assert.equal(100, t:take("readings.hot").value.celsius)
    assert.is_nil(t:take "readings.celsius")
  end)

  it("drops tests and readings without a number", function()
    t:send("readings.north", { value = { sensor = "n1", fahrenheit = 50, test = true } })
    t:send("readings.north", { value = { sensor = "n2", fahrenheit = "50" } })
    t:send("readings.north", { value = { sensor = "n3" } })
    assert.is_nil(t:take "readings.celsius")
  end)

  it("skips what cannot be read", function()
    t:send("readings.north", { value = "[1, 2" })
    t:send("readings.north", { value = { sensor = "n1", fahrenheit = 32 } })
    assert.equal("n1", t:take("readings.celsius").key)
  end)
end)

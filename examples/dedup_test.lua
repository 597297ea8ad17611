local test = require "ks.test"

describe("dedup", function()
  local t

  before_each(function() t = test.driver(dofile "dedup.lua") end)

  it("lets an event pass once", function()
    for _ = 1, 3 do
      t:send("events", { key = "s1", value = { event_id = "e1", value = 1 } })
    end
    assert.equal("e1", t:take("events.unique").value.event_id)
    assert.is_nil(t:take "events.unique")
  end)

  it("lets it pass again a day later", function()
    t:send("events", { key = "s1", timestamp = 0, value = { event_id = "e1", value = 1 } })
    t:send("events", { key = "s1", timestamp = 90000000, value = { event_id = "e2", value = 1 } })
    t:send("events", { key = "s1", timestamp = 90000001, value = { event_id = "e1", value = 1 } })
    assert.equal("e1", t:take("events.unique").value.event_id)
    assert.equal("e2", t:take("events.unique").value.event_id)
    assert.equal("e1", t:take("events.unique").value.event_id)
  end)

  it("tells of a spike, per sensor", function()
    t:send("events", { key = "s1", value = { event_id = "a", value = 2 } })
    t:send("events", { key = "s2", value = { event_id = "b", value = 9 } })
    assert.is_nil(t:take "alerts")
    t:send("events", { key = "s1", value = { event_id = "c", value = 7 } })
    assert.same({ sensor = "s1", was = 2, now = 7 }, t:take("alerts").value)
    assert.same({ s1 = 7, s2 = 9 }, t:state "last_value")
  end)
end)

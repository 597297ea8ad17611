local test = require "ks.test"

describe("dead_letter", function()
  local t

  before_each(function() t = test.driver(dofile "dead_letter.lua") end)

  it("lets a good payment pass", function()
    t:send("payments", { key = "p", value = { cents = 5 } })
    assert.equal(5, t:take("payments.ok").value.cents)
    assert.is_nil(t:take "payments.rejected")
  end)

  it("rejects a bad one with the message and the line", function()
    t:send("payments", { key = "p", value = '{"cents":-1}' })
    local letter = t:take "payments.rejected"
    assert.equal('{"cents":-1}', letter.value)
    assert.matches("cents must be positive", letter.headers["__streams.errors.message"])
    assert.matches("dead_letter.lua:%d+", letter.headers["__streams.errors.stacktrace"])
    assert.is_nil(t:take "payments.ok")
  end)

  it("does not take 1.5 for an integer", function()
    t:send("payments", { key = "p", value = { cents = 1.5 } })
    assert.matches("must be an integer", t:take("payments.rejected").headers["__streams.errors.message"])
  end)

  it("goes on with the next payment", function()
    t:send("payments", { key = "p", value = "no JSON" })
    t:send("payments", { key = "p", value = { cents = 1 } })
    assert.equal(1, t:take("payments.ok").value.cents)
  end)
end)

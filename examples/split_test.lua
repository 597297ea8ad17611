local test = require "ks.test"

describe("split", function()
  local t

  before_each(function() t = test.driver(dofile "split.lua") end)

  it("sends orders from 1000 on to orders.large", function()
    t:send("orders", { key = "a", value = { amount = 1000 } })
    assert.equal("a", t:take("orders.large").key)
    assert.is_nil(t:take "orders.small")
  end)

  it("sends the others to orders.small", function()
    t:send("orders", { key = "b", value = { amount = 999.99 } })
    assert.equal("b", t:take("orders.small").key)
    assert.is_nil(t:take "orders.large")
  end)

  it("leaves the bytes of an order alone", function()
    t:send("orders", { key = "c", value = '{"amount": 2000,  "note": 1.0}' })
    assert.same({ amount = 2000, note = 1.0 }, t:take("orders.large").value)
  end)

  it("keeps what is no JSON, with the place it came from", function()
    t:send("orders", { key = "d", value = "{oops" })
    local letter = t:take "orders.rejected"
    assert.equal("{oops", letter.value)
    assert.equal("orders", letter.headers["__streams.errors.topic"])
    assert.equal("0", letter.headers["__streams.errors.offset"])
  end)

  it("rejects an order without an amount, naming the line", function()
    t:send("orders", { key = "e", value = { id = 1 } })
    local letter = t:take "orders.rejected"
    assert.truthy(letter.headers["__streams.errors.stacktrace"]:find("split.lua", 1, true))
  end)
end)

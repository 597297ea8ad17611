local test = require "ks.test"

describe("enrich", function()
  local t

  before_each(function() t = test.driver(dofile "enrich.lua") end)

  local function signup(value)
    t:send("signups", { key = "1", timestamp = 1790000000123, value = value })
    return t:take("signups.enriched").value
  end

  it("adds the country, the time and an id", function()
    local v = signup { email = "A@b.c", phone = "+49123" }
    assert.equal("DE", v.country)
    assert.equal("2026-09-21T14:13:20.123Z", v.seen_at)
    assert.matches("^%x+%-%x+%-7%x+%-%x+%-%x+$", v.event)
  end)

  it("hides the address, whatever its case", function()
    local a, b = signup { email = "A@b.c", phone = "" }, signup { email = "a@B.c", phone = "" }
    assert.equal(64, #a.email)
    assert.equal(a.email, b.email)
  end)

  it("writes null for a country it does not know", function()
    local ks = require "ks"
    assert.equal(ks.null, signup({ email = "a", phone = "+99" }).country)
  end)

  it("makes one record of each line of an order", function()
    t:send("orders", { key = "o", value = { items = { { sku = "s1", n = 2 }, { sku = "s2", n = 1 } } } })
    local first, second = t:take "order.lines", t:take "order.lines"
    assert.equal("s1", first.key)
    assert.same({ sku = "s1", n = 2 }, first.value)
    assert.equal("s2", second.key)
    assert.is_nil(t:take "order.lines")
  end)

  it("rejects a sign-up without an address", function()
    t:send("signups", { key = "1", value = { phone = "+49123" } })
    assert.is_nil(t:take "signups.enriched")
    assert.truthy(t:take "enrich.rejected")
  end)
end)

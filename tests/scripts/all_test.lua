-- The scripts that the language was designed with, and what was promised of them.
local ks = require "ks"
local test = require "ks.test"

describe("the scripts of the design", function()
  it("split", function()
    local t = test.driver(dofile "1_split.lua")
    t:send("orders", { key = "a", value = { amount = 1500 } })
    t:send("orders", { key = "b", value = { amount = 10 } })
    t:send("orders", { key = "c", value = "{oops" })
    assert.equal("a", t:take("orders.large").key)
    assert.equal("b", t:take("orders.small").key)
    local d = t:take "orders.dlq"
    assert.equal("{oops", d.value)
    assert.equal("2", d.headers["__streams.errors.offset"])
  end)

  it("filter and map", function()
    local t = test.driver(dofile "2_filter_map.lua")
    t:send("sensors.eu", { value = { id = "x", fahrenheit = 212, ts = 1 } })
    t:send("sensors.us", { value = { id = "y", fahrenheit = 32, ts = 1, status = "test" } })
    local r = t:take "sensors.hot"
    assert.equal("x", r.key)
    assert.equal(100, r.value.celsius)
    assert.is_nil(t:take "sensors.clean")
  end)

  it("enrich and explode", function()
    local t = test.driver(dofile "3_enrich.lua")
    t:send("signups", { key = "1", timestamp = 1790000000123, value = { email = "A@b.c", phone = "+49123" } })
    local v = t:take("signups.enriched").value
    assert.equal("DE", v.country)
    assert.equal("2026-09-21T14:13:20.123Z", v.seen_at)
    t:send("orders", { key = "o", value = { items = { { sku = "s1" }, { sku = "s2" } } } })
    assert.equal("s1", t:take("order.lines").key)
    assert.equal("s2", t:take("order.lines").key)
  end)

  it("dedup and own state", function()
    local t = test.driver(dofile "6_dedup.lua")
    for _ = 1, 2 do
      t:send("events", { key = "k", timestamp = 5, value = { event_id = "e1", value = 1 } })
    end
    assert.truthy(t:take "events.unique")
    assert.is_nil(t:take "events.unique")
    t:send("events.unique", { key = "k", value = { value = 1 } })
    t:send("events.unique", { key = "k", value = { value = 9 } })
    assert.equal(9, t:take("alerts").value.now)
  end)

  it("dead letters with message and line", function()
    local t = test.driver(dofile "7_dead_letter.lua")
    t:send("payments", { key = "p", value = { cents = -1 } })
    local d = t:take "payments.dlq"
    assert.truthy(d.headers["__streams.errors.message"]:find "cents must be positive")
    assert.truthy(d.headers["__streams.errors.stacktrace"]:find "7_dead_letter.lua:5")
  end)
end)

describe("mistakes", function()
  local function says(text, spec)
    assert.has_error(function() ks.job "x"(spec) end, text)
  end

  it("a topic's name", function()
    says('did you mean "orders.large"?', {
      topics = { ["orders.large"] = {} }, flows = { f = { ks.from "orders.larg", ks.to "orders.large" } } })
  end)

  it("twins without a name", function()
    says("give each a name", { flows = { f = { ks.from "a", ks.count {}, ks.count {} } } })
  end)

  it("a forgotten return", function()
    local t = test.driver(ks.job "x" {
      on_error = ks.dead_letter "dlq",
      flows = { f = { ks.from "a", ks.map(function(v) v.x = 1 end), ks.to "b" } } })
    t:send("a", { value = {} })
    assert.matches("forgot `return`", t:take("dlq").headers["__streams.errors.message"])
  end)
end)

describe("steps", function()
  local function job(...)
    return test.driver(ks.job "x" { flows = { f = { ks.from "in", ... } } })
  end

  local function values(t, topic)
    local all = {}
    for r in function() return t:take(topic) end do all[#all + 1] = r.value end
    return all
  end

  it("flat_map sends each element, or a pair", function()
    local t = job(ks.flat_map(function(v) return { v.a, { key = "k", value = v.b } } end), ks.to "out")
    t:send("in", { key = "x", value = { a = 1, b = { 2 } } })
    local first, second = t:take "out", t:take "out"
    assert.equal("x", first.key)
    assert.equal(1, first.value)
    assert.equal("k", second.key)
    assert.same({ 2 }, second.value)
  end)

  it("count, sum, min and max go per key", function()
    local t = test.driver(ks.job "x" { flows = {
      a = { ks.from "in", ks.count(), ks.to "counts" },
      b = { ks.from "in", ks.sum "n", ks.to "sums" },
      c = { ks.from "in", ks.min "n", ks.to "mins" },
      d = { ks.from "in", ks.max(function(v) return v.n end), ks.to "maxs" } } })
    for _, n in ipairs { 3, 1, 2 } do t:send("in", { key = "k", value = { n = n } }) end
    assert.same({ 1, 2, 3 }, values(t, "counts"))
    assert.same({ 3, 4, 6 }, values(t, "sums"))
    assert.same({ k = 1 }, t:state "c.min")
    assert.same({ k = 3 }, t:state "d.max")
  end)

  it("reduce begins with the first value", function()
    local t = job(ks.reduce(function(acc, v) return { n = acc.n * v.n } end), ks.to "out")
    for _, n in ipairs { 2, 3, 4 } do t:send("in", { key = "k", value = { n = n } }) end
    assert.same({ { n = 2 }, { n = 6 }, { n = 24 } }, values(t, "out"))
  end)

  it("aggregate forgets a key with a tombstone", function()
    local t = job(ks.aggregate { as = "s", init = 0, with = function(acc, v)
      if v.done then return ks.tombstone end
      return acc + 1
    end }, ks.to "out")
    t:send("in", { key = "k", value = {} })
    t:send("in", { key = "k", value = {} })
    assert.same({ k = 2 }, t:state "s")
    t:send("in", { key = "k", value = { done = true } })
    assert.same({}, t:state "s")
  end)

  it("headers come along and can be read", function()
    local t = job(ks.map(function(v, _, rec) v.trace = rec.headers.trace return v end), ks.to "out")
    t:send("in", { value = {}, headers = { trace = "abc" } })
    local r = t:take "out"
    assert.equal("abc", r.value.trace)
    assert.equal("abc", r.headers.trace)
  end)

  it("a topic may have another serde than the rest", function()
    local t = test.driver(ks.job "x" {
      topics = { ["in"] = { value = "i64" }, out = { value = "string" } },
      flows = { f = { ks.from "in", ks.map(function(n) return "<" .. n + 1 .. ">" end), ks.to "out" } } })
    t:send("in", { value = 41 })
    assert.equal("<42>", t:take("out").value)
  end)

  it("a tombstone goes in as nil and comes out as null", function()
    local t = job(ks.map(function(v) return v == nil and ks.tombstone or v end), ks.to "out")
    t:send("in", { key = "k" })
    local r = t:take "out"
    assert.equal("k", r.key)
    assert.is_nil(r.value)
  end)

  it("a record that fails half way leaves nothing behind", function()
    local t = test.driver(ks.job "x" { on_error = ks.skip, flows = { f = {
      ks.from "in", ks.count { as = "c" },
      ks.map(function(n, k) assert(k ~= "bad" or n ~= 2) return n end), ks.to "out" } } })
    t:send("in", { key = "bad", value = 1 })
    t:send("in", { key = "bad", value = 1 })
    assert.same({ bad = 1 }, t:state "c")
    assert.same({ 1 }, values(t, "out"))
  end)

  it("the job fails when nothing else was said", function()
    local t = job(ks.map(function() error "no way" end), ks.to "out")
    assert.has_error(function() t:send("in", { value = 1 }) end, "no way")
  end)

  it("forwards from own state", function()
    local t = job(ks.process { as = "s", on_record = function(ctx, v, k)
      local seen = ctx.state[k] or ks.array {}
      ctx.state[k] = v
      ctx:forward({ before = seen, now = v, at = ctx.time }, k .. "!")
    end }, ks.to "out")
    t:send("in", { key = "k", timestamp = 10, value = { 1 } })
    t:send("in", { key = "k", timestamp = 20, value = { 2 } })
    assert.same({ before = {}, now = { 1 }, at = 10 }, t:take("out").value)
    local r = t:take "out"
    assert.equal("k!", r.key)
    assert.same({ before = { 1 }, now = { 2 }, at = 20 }, r.value)
  end)
end)

describe("helpers", function()
  it("hashes", function()
    assert.equal("900150983cd24fb0d6963f7d28e17f72", ks.hash.md5 "abc")
    assert.equal("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ks.hash.sha256 "abc")
    assert.equal(0xe3069283, ks.hash.crc32c "123456789")
    assert.equal(ks.hash.xxh3 "a", ks.hash.xxh3 "a")
    assert.equal("f7bc83f430538424b13298e6aa6fb143ef4d59a14946175997479dbc2d1a3cd8",
      ks.hmac("key", "The quick brown fox jumps over the lazy dog"))
  end)

  it("encodings", function()
    assert.equal("aGVsbG8=", ks.base64.encode "hello")
    assert.equal("hello", ks.base64.decode "aGVsbG8")
    assert.equal("\xfb\xff", ks.base64.decode "-_8")
    assert.equal("00ff", ks.hex.encode "\0\xff")
    assert.equal("\0\xff", ks.hex.decode "00FF")
    assert.has_error(function() ks.hex.decode "0" end, "two digits")
    assert.has_error(function() ks.base64.decode "a" end, "cut short")
    assert.same({ a = { 1, ks.null } }, ks.json.decode '{"a":[1,null]}')
    assert.equal('{"a":[],"b":1.0}', ks.json.encode { b = 1.0, a = ks.array {} })
    assert.has_error(function() ks.json.decode "{" end, "this is not JSON")
  end)

  it("ids", function()
    assert.equal("cfbff0d1-9375-5685-968c-48ce8b15ae17", ks.uuid.v5("dns", "example.com"))
    assert.has_error(ks.uuid.v4, "functions of steps only")
  end)

  it("times", function()
    assert.equal("2026-09-21", ks.time.date(1790000000123))
    assert.equal(1790000000123, ks.time.parse "2026-09-21T16:13:20.123+02:00")
    assert.equal("Monday, 21 September 2026, 14:13:20.123, day 264",
      ks.time.format(1790000000123, "%A, %d %B %Y, %T.%L, day %j"))
    assert.equal("1970-01-01T01:00:00.000Z", ks.time.iso(ks.time.floor(5399999, "1h")))
    assert.equal(-3600000, ks.time.floor(-1, "1h"))
    assert.has_error(function() ks.time.parse "tomorrow" end, "is not a time")
    assert.has_error(function() return ks.time.now end, "rec.timestamp")
  end)
end)

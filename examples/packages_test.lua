local test = require "ks.test"

describe("packages", function()
  local t

  before_each(function() t = test.driver(dofile "packages.lua") end)

  local function send(line) t:send("dpkg", { value = line }) end

  it("sorts lines by action", function()
    send "2025-06-24 14:36:25 upgrade libsystemd0:amd64 252.36-1 252.38-1"
    send "2025-06-24 14:36:26 install git:amd64 <none> 1:2.39.5-0"
    send "2025-06-24 14:36:27 purge git:amd64 1:2.39.5-0 <none>"
    local r = t:take "packages.upgraded"
    assert.equal("libsystemd0", r.key)
    assert.same({ action = "upgrade", at = 1750775785000, package = "libsystemd0", arch = "amd64",
                  from = "252.36-1", to = "252.38-1" }, r.value)
    assert.equal("git", t:take("packages.installed").key)
    assert.equal("git", t:take("packages.removed").key)
  end)

  it("knows the shape of a status line", function()
    send "2025-06-24 14:36:25 status half-configured libc-bin:amd64 2.36-9+deb12u10"
    local v = t:take("packages.status").value
    assert.equal("half-configured", v.state)
    assert.equal("libc-bin", v.package)
  end)

  it("gives a start no key, and does not count it", function()
    send "2025-06-24 14:36:25 startup archives unpack"
    local r = t:take "packages.other"
    assert.is_nil(r.key)
    assert.equal("archives unpack", r.value.what)
    assert.is_nil(t:take "packages.lines")
  end)

  it("counts the lines of each package", function()
    for _ = 1, 3 do send "2025-06-24 14:36:25 status unpacked git:amd64 1" end
    send "2025-06-24 14:36:25 status unpacked vim:amd64 1"
    assert.same({ git = 3, vim = 1 }, t:state "lines_by_package")
    local last = {}
    for r in function() return t:take "packages.lines" end do last[r.key] = r.value end
    assert.same({ git = 3, vim = 1 }, last)
  end)

  it("keeps lines it cannot read", function()
    send "what is this"
    local seen = t:take "packages.rejected"
    assert.equal("what is this", seen.value)
    assert.matches("not a line of dpkg", seen.headers["__streams.errors.message"])
  end)
end)

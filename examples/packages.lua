-- Reads the log of dpkg: sorts its lines into topics by action, and counts the lines of each package.
--
-- Run me:   ksrun topic create dpkg -p 6
--           ksrun topic produce dpkg < /var/log/dpkg.log
--           ksrun run --once examples/packages.lua
--           ksrun topic consume packages.installed -o :end
--           ksrun topic consume packages.lines -o :end -f '%k %v\n'
-- With the package as key, so that the lines of a package keep their order:
--           awk '{ print ($3 == "status" ? $5 : $4), $0 }' /var/log/dpkg.log |
--           ksrun topic produce dpkg -f '%k %v\n'
-- Test me:  ksrun test examples/packages_test.lua
--
-- A line of the log is one of
--   2025-06-24 14:36:25 startup archives unpack
--   2025-06-24 14:36:25 status unpacked libsystemd0:amd64 252.36-1
--   2025-06-24 14:36:25 upgrade libsystemd0:amd64 252.36-1 252.38-1
local ks = require "ks"

local function parsed(line)
  local date, clock, action, rest = line:match "^(%S+) (%S+) (%S+) (.*)$"
  assert(action, "not a line of dpkg's log")
  local entry = { at = ks.time.parse(date .. "T" .. clock .. "Z"), action = action }
  if action == "startup" then
    entry.what = rest
    return entry, ks.tombstone                           -- no package, no key
  end
  if action == "status" then
    entry.state, rest = rest:match "^(%S+) (.*)$"
  end
  entry.package, entry.arch, entry.from, entry.to = rest:match "^([^:%s]+):?(%S*) (%S+) ?(%S*)$"
  assert(entry.package, "no package in this line")
  return entry, entry.package                            -- the new value, the new key
end

return ks.job "packages" {
  defaults = { key = "string", value = "json" },
  on_error = ks.dead_letter "packages.rejected",

  topics = {
    ["dpkg"]               = { value = "string" },
    ["packages.installed"] = { partitions = 3 },
    ["packages.upgraded"]  = { partitions = 3 },
    ["packages.removed"]   = { partitions = 3 },
    ["packages.status"]    = { partitions = 3 },
    ["packages.triggers"]  = { partitions = 3 },
    ["packages.other"]     = { partitions = 3 },
    ["packages.lines"]     = { partitions = 3 },         -- how many lines there were, by package
    ["packages.rejected"]  = { value = "bytes" },
  },

  flows = {
    sorted = {
      ks.from "dpkg",
      ks.map(parsed),
      ks.split {
        by       = "action",
        install  = ks.to "packages.installed",
        upgrade  = ks.to "packages.upgraded",
        remove   = ks.to "packages.removed",
        purge    = ks.to "packages.removed",
        status   = ks.to "packages.status",
        trigproc = ks.to "packages.triggers",
        default  = ks.to "packages.other",
      },
    },
    counted = {
      ks.from "dpkg",
      ks.reject(function(line) return line:find(" startup ", 1, true) end),
      ks.map(parsed),
      ks.group "package",                                -- the same package to the same partition
      ks.count { as = "lines_by_package" },
      ks.to "packages.lines",
    },
  },
}

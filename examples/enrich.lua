-- Adds to sign-ups what they imply, hides the address; takes orders apart into their lines.
--
-- Run me:   ksrun topic create signups orders
--           echo '{"email":"A@b.c","phone":"+49123"}' | ksrun topic produce signups
--           ksrun run --once examples/enrich.lua
--           ksrun topic consume signups.enriched -o :end
-- Test me:  ksrun test examples/enrich_test.lua
--
--   -p salt=TEXT   mixed into the pseudonyms of addresses, so that nobody can try them out
local ks = require "ks"
local countries = require "countries"

local salt = ks.param("salt", "none")

return ks.job "enrich" {
  defaults = { key = "string", value = "json" },
  on_error = ks.dead_letter "enrich.rejected",

  flows = {
    signups = {
      ks.from "signups",
      ks.map(function(v, _, rec)
        v.email   = ks.hmac(salt, v.email:lower())
        v.country = countries[v.phone:match "^%+(%d%d)"] or ks.null
        v.seen_at = ks.time.iso(rec.timestamp)
        v.event   = ks.uuid.v7()                         -- the same again in a replay
        return v                                         -- edited in place: what was not touched stays as it was
      end),
      ks.to "signups.enriched",
    },
    lines = {
      ks.from "orders",
      ks.explode "items",                                -- one record per element
      ks.rekey "sku",
      ks.to "order.lines",
    },
  },
}

-- Records per article: the key changes, so the records travel through a repartition topic.
local ks = require "ks"

return ks.job "bench-regroup" {
  defaults = { key = "string", value = "json" },
  flows = {
    regroup = {
      ks.from "in",
      ks.group "items[0].sku",
      ks.count(),
      ks.to { "articles", value = "i64" },
    },
  },
}

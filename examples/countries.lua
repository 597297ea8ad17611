-- A module beside the scripts: require "countries".
return { ["33"] = "FR", ["44"] = "GB", ["49"] = "DE" }

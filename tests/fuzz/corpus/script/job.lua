local ks = require "ks"
return ks.job "x" { flows = {} }
---@meta
-- Completion and checks for scripts in editors with the Lua language server (LuaCATS annotations).
-- In .luarc.json:  { "runtime.version": "Lua 5.4", "workspace.library": ["/usr/share/ks/luals"] }

---@class ks
local ks = {}

-- Values and records -------------------------------------------------------------------------------

---What a step's function learns of the record under way. Good while the function runs.
---@class ks.Rec
---@field topic string
---@field partition integer
---@field offset integer
---@field timestamp integer  milliseconds UTC
---@field headers table<string, string>  read-only; of headers with the same name the last

---What the function of ks.process gets first. Good while the function runs.
---@class ks.Context
---@field state table<any, any>  the step's own store, by key; nil deletes
---@field time integer  stream time: the highest timestamp seen so far, in ms
local Context = {}
---Sends a record to the next step; without a key it keeps that of the record under way.
---@param value any
---@param key? any
function Context:forward(value, key) end

---A value is JSON seen as Lua (see docs/lua.md), a string, an integer or a float, by the topic's serde.
---@alias ks.Fn fun(value: any, key: any, rec: ks.Rec): any, any
---@alias ks.Serde "json"|"string"|"bytes"|"i64"|"f64"
---@alias ks.Duration string|integer  "100ms", "90s", "1h30m", "24h", "30d"; a number is milliseconds
---@alias ks.Size string|integer  "64KiB", "1GiB"; a number is bytes
---@alias ks.Path string  "user.id", "items[0].sku"

---@class ks.Step
---@class ks.Policy
---@class ks.Job
---@field name string

-- Jobs ---------------------------------------------------------------------------------------------

---@class ks.TopicSpec
---@field partitions? integer
---@field key? ks.Serde
---@field value? ks.Serde
---@field retention? ks.Duration|"forever"
---@field retention_bytes? ks.Size
---@field max_message_bytes? ks.Size
---@field compact? boolean
---@field config? table<string, string|number|boolean>  Kafka's own names

---@class ks.JobSpec
---@field guarantee? "exactly_once"|"at_least_once"
---@field commit? ks.Duration  at the latest so often
---@field threads? integer
---@field cache? ks.Size
---@field defaults? { key?: ks.Serde, value?: ks.Serde }
---@field on_error? ks.Policy
---@field topics? table<string, ks.TopicSpec>
---@field flows table<string, ks.Step[]>
---@field config? table<string, string|number>  Kafka Streams' names

---@param name string
---@return fun(spec: ks.JobSpec): ks.Job
function ks.job(name) end

-- Steps --------------------------------------------------------------------------------------------

---@class ks.FromSpec
---@field topic? string
---@field topics? string[]
---@field pattern? string  POSIX extended regular expression over names of topics
---@field key? ks.Serde
---@field value? ks.Serde
---@field time? ks.Path  event time in the value
---@field start? "start"|"end"

---@param topics string|string[]|ks.FromSpec
---@return ks.Step
function ks.from(topics) end
---The same as ks.from { "a", "b" }.
---@param topics string[]
---@return ks.Step
function ks.merge(topics) end
---Keeps records for which this is true.
---@param what ks.Path|fun(value: any, key: any, rec: ks.Rec): any
---@return ks.Step
function ks.filter(what) end
---Drops records for which this is true.
---@param what ks.Path|fun(value: any, key: any, rec: ks.Rec): any
---@return ks.Step
function ks.reject(what) end
---A new value, and perhaps a new key.
---@param fn ks.Fn
---@return ks.Step
function ks.map(fn) end
---A list of values, or of { key =, value = }: one record each.
---@param fn fun(value: any, key: any, rec: ks.Rec): any[]
---@return ks.Step
function ks.flat_map(fn) end
---One record per element of an array.
---@param path ks.Path
---@return ks.Step
function ks.explode(path) end
---@param by ks.Path|fun(value: any, key: any, rec: ks.Rec): any
---@return ks.Step
function ks.rekey(by) end
---As ks.rekey, before a step that keeps state; without an argument by the key as it is.
---@param by? ks.Path|fun(value: any, key: any, rec: ks.Rec): any
---@return ks.Step
function ks.group(by) end
---The first branch that matches takes the record.
---@param branches table
---@return ks.Step
function ks.split(branches) end
---@param fn fun(value: any, key: any, rec: ks.Rec)
---@return ks.Step
function ks.peek(fn) end
---One record of so many, the same ones in a replay.
---@param every integer|{ every: integer }
---@return ks.Step
function ks.sample(every) end

---@class ks.StoreSpec
---@field as? string  name of the store
---@field emit? "update"

---@class ks.OfSpec: ks.StoreSpec
---@field of ks.Path|fun(value: any, key: any, rec: ks.Rec): number

---@param spec? ks.StoreSpec
---@return ks.Step
function ks.count(spec) end
---@param of ks.Path|ks.OfSpec|fun(value: any, key: any, rec: ks.Rec): number
---@return ks.Step
function ks.sum(of) end
---@param of ks.Path|ks.OfSpec|fun(value: any, key: any, rec: ks.Rec): number
---@return ks.Step
function ks.min(of) end
---@param of ks.Path|ks.OfSpec|fun(value: any, key: any, rec: ks.Rec): number
---@return ks.Step
function ks.max(of) end
---@param with { with: fun(acc: any, value: any, key: any, rec: ks.Rec): any, as?: string }|fun(acc: any, value: any, key: any, rec: ks.Rec): any
---@return ks.Step
function ks.reduce(with) end
---@param spec { init: any, with: fun(acc: any, value: any, key: any, rec: ks.Rec): any, as?: string }
---@return ks.Step
function ks.aggregate(spec) end
---@param by? ks.Path|{ by?: ks.Path|ks.Fn, within?: ks.Duration, max?: integer, as?: string }|ks.Fn
---@return ks.Step
function ks.dedup(by) end
---@param spec { as?: string, on_record: fun(ctx: ks.Context, value: any, key: any, rec: ks.Rec) }|fun(ctx: ks.Context, value: any, key: any, rec: ks.Rec)
---@return ks.Step
function ks.process(spec) end
---@param topic string|{ topic: string|ks.Fn, key?: ks.Serde, value?: ks.Serde, partition?: ks.Fn }|fun(value: any, key: any, rec: ks.Rec): string
---@return ks.Step
function ks.to(topic) end

-- What happens to records that fail ----------------------------------------------------------------

---@param topic string|{ topic: string, after?: ks.Policy }
---@return ks.Policy
function ks.dead_letter(topic) end
---@param spec integer|{ times: integer, backoff?: ks.Duration }
---@return ks.Policy
function ks.retry(spec) end
---@type ks.Policy
ks.skip = nil
---@type ks.Policy
ks.fail_job = nil

-- Values -------------------------------------------------------------------------------------------

---JSON's null. Kafka's null is ks.tombstone.
ks.null = nil
---Kafka's null: no key, or a value that deletes.
ks.tombstone = nil
---Marks a table as an array, so that an empty one is written as [].
---@generic T: table
---@param t T
---@return T
function ks.array(t) end
---@param v any
---@return "object"|"array"|"string"|"number"|"boolean"|"null"|"nil"|string
function ks.type(v) end
---A value of a record as plain tables, good for as long as wanted.
---@param v any
---@return any
function ks.table(v) end
---@param v any
---@param path ks.Path
---@return any
function ks.get(v, path) end
---@param v any
---@param path ks.Path
---@param x any
function ks.set(v, path, x) end

-- Helpers ------------------------------------------------------------------------------------------

---@class ks.json
ks.json = {}
---@param v any
---@return string
function ks.json.encode(v) end
---@param text string
---@return any
function ks.json.decode(text) end

---Digests are lower-case hex; the others are integers.
---@class ks.hash
ks.hash = {}
---@param text string
---@return string
function ks.hash.sha256(text) end
---@param text string
---@return string
function ks.hash.sha512(text) end
---@param text string
---@return string
function ks.hash.sha1(text) end
---@param text string
---@return string
function ks.hash.md5(text) end
---@param text string
---@return integer
function ks.hash.xxh3(text) end
---@param text string
---@return integer
function ks.hash.crc32c(text) end
---As Java's Utils.murmur2: signed, 32 bits.
---@param text string
---@return integer
function ks.hash.murmur2(text) end

---@param key string
---@param text string
---@param hash? "sha256"|"sha512"|"sha1"|"md5"
---@return string  lower-case hex
function ks.hmac(key, text, hash) end

---@class ks.hex
ks.hex = {}
---@param text string
---@return string
function ks.hex.encode(text) end
---@param text string
---@return string
function ks.hex.decode(text) end

---@class ks.base64
ks.base64 = {}
---@param text string
---@return string
function ks.base64.encode(text) end
---@param text string
---@return string
function ks.base64.decode(text) end

---v4 and v7 are made from the record under way: a replay gives the same ones.
---@class ks.uuid
ks.uuid = {}
---@return string
function ks.uuid.v4() end
---@return string
function ks.uuid.v7() end
---@param namespace "dns"|"url"|"oid"|"x500"|string
---@param name string
---@return string
function ks.uuid.v5(namespace, name) end

---@class ks.time
ks.time = {}
---@param ms integer
---@return string  "2026-09-21T14:13:20.123Z"
function ks.time.iso(ms) end
---@param ms integer
---@return string  "2026-09-21"
function ks.time.date(ms) end
---@param text string
---@return integer ms
function ks.time.parse(text) end
---@param ms integer
---@param format string  %Y %y %m %d %H %M %S %L %j %u %a %A %b %B %F %T %%
---@return string
function ks.time.format(ms, format) end
---@param ms integer
---@param size string  a duration
---@return integer ms
function ks.time.floor(ms, size) end

---Called, it is a step that logs each record.
---@class ks.log
---@overload fun(message?: string|{ message?: string }): ks.Step
ks.log = {}
---@param ... any
function ks.log.debug(...) end
---@param ... any
function ks.log.info(...) end
---@param ... any
function ks.log.warn(...) end
---@param ... any
function ks.log.error(...) end

---@param name string
---@param default? string
---@return string
function ks.env(name, default) end
---What ksrun got as -p name=value.
---@param name string
---@param default? any
---@return string
function ks.param(name, default) end

return ks

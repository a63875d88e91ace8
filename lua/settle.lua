-- Settles one batch, if its lease is still ours. With lib_keeps.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  1 lease_ms: the batch's token, 2 most records in failed, 3 most in kept, 4 to 9 how many of
--       each verdict follow, in order: to forget: id; to put back: id, at_ms; healed and to put back:
--       id, at_ms; failed: id, at_ms, record; deferred: id, at_ms, record; kept: id, at_ms, record,
--       since_ms if it wants attention, else "". 1000 ids at most; those to forget are named only for
--       the sake of their records.
-- Past the most a new record is not kept, nor its id. For those that Postgres has refused
-- themselves there is a tenth more room: the many that are deferred with their product do not keep
-- them out. A kept one is put back in any case, and is not refused any more; a refused one may have
-- been kept before, and be so again.
-- Returns 1, or 0 when the batch was no longer ours: nothing was done.
local pending, leases, failed, kept, attention = KEYS[1], KEYS[2], KEYS[4], KEYS[5], KEYS[6]
local lease, cap, kept_cap = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local n_forget, n_back = tonumber(ARGV[4]), tonumber(ARGV[5])
local n_healed, n_failed, n_deferred = tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8])
local n_kept = tonumber(ARGV[9])
local n = n_forget + n_back + n_healed + n_failed + n_deferred + n_kept
if n > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if n == 0 then
    return math.min(redis.call('ZREMRANGEBYSCORE', leases, lease, lease), 1)
end
if redis.call('ZCOUNT', leases, lease, lease) == 0 then
    return 0
end

-- Where the next argument stands.
local at = 10
local back, cured, recorded, records = {}, {}, {}, {}
local function put_back(id, at_ms)
    back[#back + 1] = at_ms
    back[#back + 1] = id
end
for _ = 1, n_forget do
    cured[#cured + 1] = ARGV[at]
    at = at + 1
end
for i = 1, n_back + n_healed do
    put_back(ARGV[at], ARGV[at + 1])
    if i > n_back then
        cured[#cured + 1] = ARGV[at]
    end
    at = at + 2
end
for i = 1, n_failed + n_deferred do
    recorded[i] = ARGV[at + 3 * (i - 1)]
end

local size = redis.call('HLEN', failed)
local known = {}
if #recorded > 0 and size > 0 then
    known = redis.call('HMGET', failed, unpack(recorded))
end
for i, id in ipairs(recorded) do
    local most = i <= n_failed and cap + math.floor(cap / 10) or cap
    if known[i] or size < most then
        size = size + (known[i] and 0 or 1)
        records[#records + 1] = id
        records[#records + 1] = ARGV[at + 2]
        put_back(id, ARGV[at + 1])
    end
    at = at + 3
end

local n_keeps, n_attention = 0, 0
if #cured > 0 or n_kept > 0 then
    n_keeps = redis.call('HLEN', kept)
    n_attention = redis.call('ZCARD', attention)
end
local keeps = read_keeps(kept, kept_cap, at, n_kept)
local healthy = {unpack(cured)} -- whose record in failed goes
for i, id in ipairs(keeps.ids) do
    put_back(id, keeps.entries[2 * i - 1])
    healthy[#healthy + 1] = id
end

-- What is refused is refused before anything has changed; HSET, of which no form changes nothing,
-- comes first of those that do. See claim.lua.
redis.call('ZREMRANGEBYSCORE', leases, 1, 0)
redis.call('ZADD', pending, 'XX', 0, '\255 nobody')
if #healthy > 0 and size > 0 then
    redis.call('HDEL', failed, '\255 nobody')
end
if #cured > 0 and n_keeps > 0 then
    redis.call('HDEL', kept, '\255 nobody')
end
if #cured > 0 and n_attention > 0 then
    redis.call('ZREM', attention, '\255 nobody')
end
write_keeps(keeps, kept, attention)
if #records > 0 then
    redis.call('HSET', failed, unpack(records))
end
if #healthy > 0 and size > 0 then
    redis.call('HDEL', failed, unpack(healthy))
end
if #cured > 0 and n_keeps > 0 then
    redis.call('HDEL', kept, unpack(cured))
end
if #cured > 0 and n_attention > 0 then
    redis.call('ZREM', attention, unpack(cured))
end
if #back > 0 then
    redis.call('ZADD', pending, 'LT', unpack(back))
end
redis.call('ZREMRANGEBYSCORE', leases, lease, lease)
return 1

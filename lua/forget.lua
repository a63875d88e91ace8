-- Removes records of failures. What had one is looked at at once: its row decides what becomes of it, and a
-- refusal counts as its first. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  at_ms, id, ... of at most 1000 ids: a time that has come
-- Returns how many records were removed. What has none is left alone; who has claimed one at this moment
-- settles it as ever.
local pending, leases, inflight, failed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
if #ARGV > 2000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return 0
end

local ids = {}
for i = 2, #ARGV, 2 do
    ids[#ids + 1] = ARGV[i]
end
local scores = redis.call('ZMSCORE', pending, unpack(ids))
local records = redis.call('HMGET', failed, unpack(ids))
local ends = lease_ends(leases, inflight, ids)
local entries = {}
for i, id in ipairs(ids) do
    if records[i] and (scores[i] or not ends[i]) then
        entries[#entries + 1] = ARGV[2 * i - 1]
        entries[#entries + 1] = id
    end
end

-- What is refused is refused before anything has changed, and an entry is there before its record goes: see
-- claim.lua.
redis.call('HDEL', failed, '\255 nobody')
if #entries > 0 then
    redis.call('ZADD', pending, 'LT', unpack(entries))
end
return redis.call('HDEL', failed, unpack(ids))

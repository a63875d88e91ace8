-- Adds ids to pending, each only if it is in none of the three keys.
-- KEYS  1 pending, 2 inflight, 3 failed
-- ARGV  at_ms, id, ... for at most 1000 ids
-- Returns the positions, from 1, of those that were added.
local pending, inflight, failed = KEYS[1], KEYS[2], KEYS[3]
if #ARGV > 2000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return {}
end
local ids = {}
for i = 2, #ARGV, 2 do
    ids[#ids + 1] = ARGV[i]
end
local scores = redis.call('ZMSCORE', pending, unpack(ids))
local leases, records = {}, {}
if redis.call('ZCARD', inflight) > 0 then
    leases = redis.call('ZMSCORE', inflight, unpack(ids))
end
if redis.call('HLEN', failed) > 0 then
    records = redis.call('HMGET', failed, unpack(ids))
end
local entries, added = {}, {}
for i, id in ipairs(ids) do
    if not scores[i] and not leases[i] and not records[i] then
        entries[#entries + 1] = ARGV[2 * i - 1]
        entries[#entries + 1] = id
        added[#added + 1] = i
    end
end
if #added > 0 then
    redis.call('ZADD', pending, unpack(entries))
end
return added

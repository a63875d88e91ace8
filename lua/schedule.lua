-- Mirrors reservations into pending, at the earlier of the given time and what stands there.
-- Ids in inflight are not touched, nor are those that have failed, unless pending lost them.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed
-- ARGV  at_ms, id, ... for at most 1000 ids
-- Returns how many entries are new or became earlier.
local pending, inflight, failed = KEYS[1], KEYS[3], KEYS[4]
if #ARGV > 2000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return 0
end

local claimed = redis.call('ZCARD', inflight) > 0
local refused = redis.call('HLEN', failed) > 0
if not claimed and not refused then
    return redis.call('ZADD', pending, 'LT', 'CH', unpack(ARGV))
end

local ids = {}
for i = 2, #ARGV, 2 do
    ids[#ids + 1] = ARGV[i]
end
local leases, records, scores = {}, {}, {}
if claimed then
    leases = redis.call('ZMSCORE', inflight, unpack(ids))
end
if refused then
    records = redis.call('HMGET', failed, unpack(ids))
    scores = redis.call('ZMSCORE', pending, unpack(ids))
end
local entries = {}
for i, id in ipairs(ids) do
    if not leases[i] and not (records[i] and scores[i]) then
        entries[#entries + 1] = ARGV[2 * i - 1]
        entries[#entries + 1] = id
    end
end
if #entries == 0 then
    return 0
end
return redis.call('ZADD', pending, 'LT', 'CH', unpack(entries))

-- Has what was refused or kept looked at at once, whatever it waits for. Its records stay: they tell the
-- sweeper since when. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  at_ms, id, ... of at most 1000 ids: a time that has come
-- Returns {retried, claimed}: how many have a record and are due in pending now; how many more have one, and
-- are claimed at this moment: those are left to whoever has them. What has no record is left alone.
local pending, leases, inflight, failed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if #ARGV > 2000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return {0, 0}
end

local ids = {}
for i = 2, #ARGV, 2 do
    ids[#ids + 1] = ARGV[i]
end
local scores = redis.call('ZMSCORE', pending, unpack(ids))
local records = redis.call('HMGET', failed, unpack(ids))
local keeps = redis.call('HMGET', kept, unpack(ids))
local ends = lease_ends(leases, inflight, ids)
local entries, claimed = {}, 0
for i, id in ipairs(ids) do
    if records[i] or keeps[i] then
        if scores[i] or not ends[i] then
            entries[#entries + 1] = ARGV[2 * i - 1]
            entries[#entries + 1] = id
        else
            claimed = claimed + 1
        end
    end
end
if #entries > 0 then
    redis.call('ZADD', pending, 'LT', unpack(entries))
end
return {#entries / 2, claimed}

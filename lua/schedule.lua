-- Mirrors reservations that are due into pending, at the earlier of the given time and what stands
-- there. Not touched is what pending does not have and somebody has claimed (lib_leases.lua), and what
-- it has with a record in failed or kept: a retry keeps its time.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  at_ms, id, ... for at most 1000 ids
-- Returns how many entries are new or became earlier.
local pending, leases, inflight, failed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if #ARGV > 2000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return 0
end

local n_batches = redis.call('ZCARD', leases)
local claimed = n_batches + redis.call('ZCARD', inflight) > 0
local refused = redis.call('HLEN', failed) > 0
local keeps = redis.call('HLEN', kept) > 0
if not claimed and not refused and not keeps then
    return redis.call('ZADD', pending, 'LT', 'CH', unpack(ARGV))
end

local ids, absent = {}, {}
for i = 2, #ARGV, 2 do
    ids[#ids + 1] = ARGV[i]
end
local scores = redis.call('ZMSCORE', pending, unpack(ids))
local records = refused and redis.call('HMGET', failed, unpack(ids)) or {}
local kept_records = keeps and redis.call('HMGET', kept, unpack(ids)) or {}
for i, id in ipairs(ids) do
    if not scores[i] then
        absent[#absent + 1] = id
    end
end
-- Batches are unpacked for what pending does not have, and so seldom.
local ends = claimed and #absent > 0 and lease_ends(leases, inflight, absent) or {}
local entries, nth = {}, 0
for i, id in ipairs(ids) do
    local free = not records[i] and not kept_records[i]
    if not scores[i] then
        nth = nth + 1
        free = not ends[nth]
    end
    if free then
        entries[#entries + 1] = ARGV[2 * i - 1]
        entries[#entries + 1] = id
    end
end
if #entries == 0 then
    return 0
end
return redis.call('ZADD', pending, 'LT', 'CH', unpack(entries))

-- Which of some ids Redis knows nothing of; changes nothing. Claims are read by lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  at most 1000 ids
-- Returns the positions, from 1, of those that have neither an entry, nor a claim, nor a record.
local pending, leases, inflight, failed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if #ARGV > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return {}
end
local n_batches = redis.call('ZCARD', leases)
local claimed = n_batches + redis.call('ZCARD', inflight) > 0
local scores = redis.call('ZMSCORE', pending, unpack(ARGV))
local records, keeps = {}, {}
if redis.call('HLEN', failed) > 0 then
    records = redis.call('HMGET', failed, unpack(ARGV))
end
if redis.call('HLEN', kept) > 0 then
    keeps = redis.call('HMGET', kept, unpack(ARGV))
end
local absent, ids = {}, {}
for i, id in ipairs(ARGV) do
    if not scores[i] and not records[i] and not keeps[i] then
        absent[#absent + 1] = i
        ids[#ids + 1] = id
    end
end
if not claimed or #ids == 0 then
    return absent
end
local ends, unknown = lease_ends(leases, inflight, ids), {}
for i, position in ipairs(absent) do
    if not ends[i] then
        unknown[#unknown + 1] = position
    end
end
return unknown

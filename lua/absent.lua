-- Which of some ids Redis knows nothing of; changes nothing.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed
-- ARGV  at most 1000 ids
-- Returns the positions, from 1, of those that are in none of the three.
local pending, inflight, failed = KEYS[1], KEYS[3], KEYS[4]
if #ARGV > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return {}
end
local scores = redis.call('ZMSCORE', pending, unpack(ARGV))
local leases, records = {}, {}
if redis.call('ZCARD', inflight) > 0 then
    leases = redis.call('ZMSCORE', inflight, unpack(ARGV))
end
if redis.call('HLEN', failed) > 0 then
    records = redis.call('HMGET', failed, unpack(ARGV))
end
local absent = {}
for i = 1, #ARGV do
    if not scores[i] and not leases[i] and not records[i] then
        absent[#absent + 1] = i
    end
end
return absent

-- Removes ids that are not active any more by what Postgres says: their entries, their records, and
-- their claims of version 0.1. Batches are left to their leases: whoever has them, or takes them
-- over, finds nothing to do.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  at most 1000 ids
-- Returns how many entries of pending and inflight were removed.
local pending, inflight, failed, kept, attention = KEYS[1], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
if #ARGV > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return 0
end

-- All that may be refused comes before anything changes: see claim.lua.
local claimed = redis.call('ZCARD', inflight)
local refused = redis.call('HLEN', failed)
local keeps = redis.call('HLEN', kept)
local attentions = redis.call('ZCARD', attention)
redis.call('ZREM', pending, '\255 nobody')

if keeps > 0 then
    redis.call('HDEL', kept, '\255 nobody')
end
if refused > 0 then
    redis.call('HDEL', failed, unpack(ARGV))
end
if keeps > 0 then
    redis.call('HDEL', kept, unpack(ARGV))
end
if attentions > 0 then
    redis.call('ZREM', attention, unpack(ARGV))
end
local dropped = redis.call('ZREM', pending, unpack(ARGV))
if claimed > 0 then
    dropped = dropped + redis.call('ZREM', inflight, unpack(ARGV))
end
return dropped

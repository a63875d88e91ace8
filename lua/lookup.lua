-- What Redis holds for some ids; changes nothing. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  at most 1000 ids
-- Returns {scores in pending, ends of their leases, records in failed, those in kept}, in the order asked, nil where
--   there is none.
local pending, leases, inflight, failed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
if #ARGV > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if #ARGV == 0 then
    return {{}, {}, {}, {}}
end
return {
    score_texts(redis.call('ZMSCORE', pending, unpack(ARGV))),
    lease_ends(leases, inflight, ARGV),
    redis.call('HMGET', failed, unpack(ARGV)),
    redis.call('HMGET', kept, unpack(ARGV)),
}

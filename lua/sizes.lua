-- Sizes and times, without claiming. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  none
-- Returns {seconds, microseconds, pending, inflight, failed, kept, attention, next} as claim.lua does; inflight is the
-- number of ids that are claimed, whoever has claimed them.
local pending, leases, inflight, failed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local first = redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')
local claimed = redis.call('ZCARD', inflight)
-- A few at a time, since each may be long.
for at = 0, math.min(redis.call('ZCARD', leases), BATCHES_MAX) - 1, 10 do
    for _, member in ipairs(redis.call('ZRANGE', leases, at, at + 9)) do
        claimed = claimed + (batch_size(member) or 0)
    end
end
return {
    tonumber(time[1]),
    tonumber(time[2]),
    redis.call('ZCARD', pending),
    claimed,
    redis.call('HLEN', failed),
    redis.call('HLEN', KEYS[5]),
    redis.call('ZCARD', KEYS[6]),
    score_text(first[2]) or false,
}

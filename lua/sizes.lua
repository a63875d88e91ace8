-- Sizes and times, without claiming.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed
-- ARGV  none
-- Returns {seconds, microseconds, pending, inflight, failed, next} as claim.lua does.
local pending, inflight, failed = KEYS[1], KEYS[3], KEYS[4]
local time = redis.call('TIME')
local first = redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')
return {
    tonumber(time[1]),
    tonumber(time[2]),
    redis.call('ZCARD', pending),
    redis.call('ZCARD', inflight),
    redis.call('HLEN', failed),
    first[2] or false,
}

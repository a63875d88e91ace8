-- What Redis has of a pause.
-- KEYS  1 the pause, 2 the number of the last order
-- ARGV  none
-- Returns {record, number}: false for what is not there.
local record = redis.call('GET', KEYS[1])
return {record, redis.call('GET', KEYS[2])}

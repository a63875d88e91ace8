-- What Redis has of a pause.
-- KEYS  1 the pause, 2 the number of the last order
-- ARGV  none
-- Returns {record, number}: false for what is not there.
return {redis.call('GET', KEYS[1]), redis.call('GET', KEYS[2])}

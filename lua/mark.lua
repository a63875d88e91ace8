-- Leaves a mark that goes when Redis loses its data, and says what there is of a pause.
-- KEYS  1 the mark, 2 the pause, 3 the number of the last order
-- ARGV  1 what to write as the mark: the database's name, '1' while it is not known
-- Returns {mark, record, number}: false for what was not there. The mark is there afterwards; one without a
-- name, as version 0.1 left it, has one.
local mark = redis.call('GET', KEYS[1])
if not mark or mark == '1' then
    redis.call('SET', KEYS[1], ARGV[1])
end
local record = redis.call('GET', KEYS[2])
return {mark, record, redis.call('GET', KEYS[3])}

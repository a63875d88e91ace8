-- Gives an order, to pause or to resume, if nobody has given another meanwhile.
-- KEYS  1 the pause, 2 the number of the last order
-- ARGV  1 record and 2 number as they were seen ('' for none)
--       3 the record ('' to resume), 4 for how long in ms, 5 its number, 6 for how long that is kept
-- Returns 1 when it was given, 0 when something else stands there.
local paused, order = KEYS[1], KEYS[2]
local record = redis.call('GET', paused) or ''
local number = redis.call('GET', order) or ''
if record ~= ARGV[1] or number ~= ARGV[2] then
    return 0
end
-- A pause is removed by a text that ends at once: so both are one command, which is refused at the first or not at all.
redis.call('SET', order, ARGV[5], 'PX', ARGV[6])
redis.call('SET', paused, ARGV[3], 'PX', ARGV[3] == '' and '1' or ARGV[4])
return 1

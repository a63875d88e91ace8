-- Records what is kept, without a claim, and when to look at it again. With lib_keeps.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  1 most records in kept; then id, at_ms, record, and since_ms if it wants attention, else "", of at
--       most 1000 ids
-- Returns how many entries are new or became earlier.
local pending, kept, attention = KEYS[1], KEYS[5], KEYS[6]
local n = (#ARGV - 1) / 4
if n > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if n == 0 then
    return 0
end
local keeps = read_keeps(kept, tonumber(ARGV[1]), 2, n)
redis.call('ZADD', pending, 'XX', 0, '\255 nobody')
write_keeps(keeps, kept, attention)
return redis.call('ZADD', pending, 'LT', 'CH', unpack(keeps.entries))

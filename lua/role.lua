-- A leased role: taken when free, renewed by its holder, given up by it.
-- KEYS  1 the role's key
-- ARGV  1 holder, 2 ttl_ms; 0 gives the role up
-- Returns {1, ttl_ms, holder} when the holder has it now, else {0, remaining_ms, owner}: the
-- other's remaining lease and name, or 0 and '' when nobody has it.
local holder, ttl = ARGV[1], tonumber(ARGV[2])
local owner = redis.call('GET', KEYS[1])
local remaining = redis.call('PTTL', KEYS[1])

-- A key without an end was not written by this script and would never give way. One whose end is far
-- beyond what a holder asks for is from before Redis's clock was set back: nobody could follow its
-- holder, if that is dead.
local free = not owner or remaining < 0 or ttl > 0 and remaining > 2 * ttl
if owner ~= holder and not free then
    return {0, remaining, owner}
end
if ttl > 0 then
    redis.call('SET', KEYS[1], holder, 'PX', ARGV[2])
    return {1, ttl, holder}
end
if owner == holder then
    redis.call('DEL', KEYS[1])
end
return {0, 0, ''}

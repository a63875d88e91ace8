-- A leased role: taken when free, renewed by its owner, given up by it.
-- KEYS  1 the role's key
-- ARGV  1 who asks, 2 ttl_ms; 0 gives the role up
-- Returns {1, ttl_ms, name} when the one who asks has it now, else {0, remaining_ms, owner}: the
-- other's remaining lease and name, or 0 and '' when nobody has it.
local name, ttl = ARGV[1], tonumber(ARGV[2])
local owner = redis.call('GET', KEYS[1])
local remaining = redis.call('PTTL', KEYS[1])

-- A key without an end was not written by this script and would never give way. One whose end is far
-- beyond what anybody asks for is from before Redis's clock was set back: nobody could follow its
-- owner, if that is dead.
local free = not owner or remaining < 0 or ttl > 0 and remaining > 2 * ttl
if owner ~= name and not free then
    return {0, remaining, owner}
end
if ttl > 0 then
    redis.call('SET', KEYS[1], name, 'PX', ARGV[2])
    return {1, ttl, name}
end
if owner == name then
    redis.call('DEL', KEYS[1])
end
return {0, 0, ''}

-- One step through kept: what nothing leads to any more is entered in pending, to be looked at: whoever has
-- bought it has removed its entry, say, and its record would stay. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  1 the cursor, "0" at first, 2 now_ms
-- Returns {cursor, {}, {}}: the next step's cursor, "0" at the end.
local pending, leases, inflight, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[5]
local STEP = 500 -- about; a small hash comes as a whole, of 3000 at most
local found = redis.call('HSCAN', kept, ARGV[1], 'COUNT', STEP)
local ids = {}
for i = 1, math.min(#found[2], 6000), 2 do
    ids[#ids + 1] = found[2][i]
end
local lost = {}
if #ids > 0 then
    for i, score in ipairs(redis.call('ZMSCORE', pending, unpack(ids))) do
        if not score then
            lost[#lost + 1] = ids[i]
        end
    end
end
local entries = {}
if #lost > 0 then
    local ends = lease_ends(leases, inflight, lost)
    for i, id in ipairs(lost) do
        if not ends[i] then
            entries[#entries + 1] = ARGV[2]
            entries[#entries + 1] = id
        end
    end
end
if #entries > 0 then
    redis.call('ZADD', pending, 'LT', unpack(entries))
end
return {found[1], {}, {}}

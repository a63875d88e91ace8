-- One step through kept: what nothing leads to in time is entered in pending, to be looked at. Whoever has
-- bought it has removed its entry, say, and its record would stay; or its queue is to look again sooner than it
-- was when it was kept. What is extended, or has been refused since, has its own time. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  1 the cursor, "0" at first, 2 now_ms, 3 latest_ms: an entry that is later is too late
-- Returns {cursor, {}, {}}: the next step's cursor, "0" at the end.
local pending, leases, inflight, failed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now, latest = ARGV[2], tonumber(ARGV[3])
local STEP = 500 -- about; a small hash comes as a whole, of 3000 at most
local found = redis.call('HSCAN', kept, ARGV[1], 'COUNT', STEP)
local ids, records = {}, {}
for i = 1, math.min(#found[2], 6000), 2 do
    ids[#ids + 1] = found[2][i]
    records[#records + 1] = found[2][i + 1]
end

local function is_extended(record)
    local ok, r = pcall(cjson.decode, record)
    local due = ok and type(r) == 'table' and tonumber(r.dueAt)
    return due and due > tonumber(now)
end
local lost, late = {}, {}
if #ids > 0 then
    for i, score in ipairs(redis.call('ZMSCORE', pending, unpack(ids))) do
        if not score then
            lost[#lost + 1] = ids[i]
        elseif tonumber(score) > latest and not is_extended(records[i]) then
            late[#late + 1] = ids[i]
        end
    end
end
local entries = {}
local function enter(id)
    entries[#entries + 1] = now
    entries[#entries + 1] = id
end
if #lost > 0 then
    local ends = lease_ends(leases, inflight, lost)
    for i, id in ipairs(lost) do
        if not ends[i] then
            enter(id)
        end
    end
end
if #late > 0 then
    for i, refused in ipairs(redis.call('HMGET', failed, unpack(late))) do
        if not refused then
            enter(late[i])
        end
    end
end
if #entries > 0 then
    redis.call('ZADD', pending, 'LT', unpack(entries))
end
return {found[1], {}, {}}

-- Settles claimed ids, each only while its score in inflight is still the lease it was given.
-- KEYS  1 pending, 2 inflight, 3 failed
-- ARGV  1 lease_ms, 2 most records in failed, 3 to 6 how many of each verdict follow, in order:
--       to forget: id; to put back: id, at_ms; healed and to put back: id, at_ms;
--       failed: id, at_ms, record. 1000 ids at most.
-- Past the most, a new record is not kept, nor its id; but one that Postgres has refused itself
-- takes the place of one that was only held back with its product ("attempts":0), if a look at some
-- of the records finds one.
-- Returns how many ids were no longer ours; nothing was done with those.
local pending, inflight, failed = KEYS[1], KEYS[2], KEYS[3]
local lease, cap = tonumber(ARGV[1]), tonumber(ARGV[2])
local n_forget, n_back = tonumber(ARGV[3]), tonumber(ARGV[4])
local n_healed, n_failed = tonumber(ARGV[5]), tonumber(ARGV[6])
local n = n_forget + n_back + n_healed + n_failed
if n > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if n == 0 then
    return 0
end

local ids, places = {}, {}
local at = 7
local function read(count, width)
    for _ = 1, count do
        ids[#ids + 1] = ARGV[at]
        places[#places + 1] = at
        at = at + width
    end
end
read(n_forget, 1)
read(n_back, 2)
read(n_healed, 2)
read(n_failed, 3)

local scores = redis.call('ZMSCORE', inflight, unpack(ids))
local size = redis.call('HLEN', failed)
local recorded = size > 0
local known = {}
if n_failed > 0 and recorded then
    known = redis.call('HMGET', failed, unpack(ids, n - n_failed + 1))
end
local function held(record)
    return string.find(record, '"attempts":0,', 1, true)
end
local wanted = 0 -- how many that were refused themselves have no record yet
for i = 1, n_failed do
    if not known[i] and not held(ARGV[places[n - n_failed + i] + 2]) then
        wanted = wanted + 1
    end
end
local give_way = {}
if wanted > 0 and recorded and size + n_failed > cap then
    local here, some = {}, redis.call('HRANDFIELD', failed, 2 * wanted + 20, 'WITHVALUES')
    for i = 1, n do
        here[ids[i]] = true
    end
    for i = 1, #some, 2 do
        if held(some[i + 1]) and not here[some[i]] then
            give_way[#give_way + 1] = some[i]
        end
    end
end
local ours, back, cured, records = {}, {}, {}, {}
for i = 1, n do
    if scores[i] and tonumber(scores[i]) == lease then
        local id, place = ids[i], places[i]
        local kept = true
        ours[#ours + 1] = id
        if i <= n_forget then
            cured[#cured + 1] = id
            kept = false
        elseif i <= n_forget + n_back then
            kept = true
        elseif i <= n - n_failed then
            cured[#cured + 1] = id
        else
            local record, new = ARGV[place + 2], not known[i - (n - n_failed)]
            if new and size >= cap and #give_way > 0 and not held(record) then
                cured[#cured + 1] = table.remove(give_way)
                size = size - 1
            end
            kept = not new or size < cap
            if kept then
                size = size + (new and 1 or 0)
                records[#records + 1] = id
                records[#records + 1] = record
            end
        end
        if kept then
            back[#back + 1] = ARGV[place + 1]
            back[#back + 1] = id
        end
    end
end

if #ours == 0 then
    return n
end
-- What is refused is refused before anything has changed; HSET, of which no form changes nothing,
-- comes first of those that do. See claim.lua.
local nobody = '\255 nobody'
redis.call('ZREM', inflight, nobody)
redis.call('ZADD', pending, 'XX', 0, nobody)
if #cured > 0 and recorded then
    redis.call('HDEL', failed, nobody)
end
if #records > 0 then
    redis.call('HSET', failed, unpack(records))
end
if #cured > 0 and recorded then
    redis.call('HDEL', failed, unpack(cured))
end
if #back > 0 then
    redis.call('ZADD', pending, 'LT', unpack(back))
end
redis.call('ZREM', inflight, unpack(ours))
return n - #ours

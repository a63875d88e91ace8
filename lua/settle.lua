-- Settles claimed ids, each only while its score in inflight is still the lease it was given.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed
-- ARGV  1 lease_ms, 2 most records in failed, 3 to 7 how many of each verdict follow, in order:
--       to forget: id; to put back: id, at_ms; healed and to put back: id, at_ms;
--       failed: id, at_ms, record; deferred: id, at_ms, record. 1000 ids at most.
-- Past the most a new record is not kept, nor its id. For those that Postgres has refused
-- themselves there is a tenth more room: the many that are deferred with their product do not keep
-- them out.
-- Returns how many ids were no longer ours; nothing was done with those.
local pending, inflight, failed = KEYS[1], KEYS[3], KEYS[4]
local lease, cap = tonumber(ARGV[1]), tonumber(ARGV[2])
local n_forget, n_back = tonumber(ARGV[3]), tonumber(ARGV[4])
local n_healed, n_failed, n_deferred = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local n_recorded = n_failed + n_deferred
local n = n_forget + n_back + n_healed + n_recorded
if n > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if n == 0 then
    return 0
end

local ids, places = {}, {}
local at = 8
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
read(n_deferred, 3)

local scores = redis.call('ZMSCORE', inflight, unpack(ids))
local size = redis.call('HLEN', failed)
local recorded = size > 0
local known = {}
if n_recorded > 0 and recorded then
    known = redis.call('HMGET', failed, unpack(ids, n - n_recorded + 1))
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
        elseif i <= n - n_recorded then
            cured[#cured + 1] = id
        else
            local record, new = ARGV[place + 2], not known[i - (n - n_recorded)]
            local most = i <= n - n_deferred and cap + math.floor(cap / 10) or cap
            kept = not new or size < most
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

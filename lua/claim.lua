-- Claims what is due: moves ids from pending to inflight under a lease.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed
-- ARGV  1 now_ms, 2 lease_ms (when the lease ends), 3 limit (1000 at most, whatever is asked)
-- Returns {seconds, microseconds, pending, inflight, failed, next, over, due, records}:
--   Redis's TIME; the three sizes after the claim; the earliest score left in pending, or nil;
--   over: id, end of its former lease, ... taken over from leases that ended by now_ms;
--   due: id, score in pending, ...;
--   records: what failed holds for each id of over, then of due, or nil; empty when it holds none.
local pending, inflight, failed = KEYS[1], KEYS[3], KEYS[4]
local now, lease = ARGV[1], ARGV[2]
local limit = math.min(tonumber(ARGV[3]), 1000)

-- Ids come from strangers too: a script's answer stays bounded whatever their length.
local room = 4 * 1024 * 1024
local ids = {}

local function take(found)
    for i = 1, #found, 2 do
        if room <= 0 then
            for j = #found, i, -1 do
                found[j] = nil
            end
            break
        end
        room = room - #found[i]
        ids[#ids + 1] = found[i]
    end
end

-- All reads come first, so that a key of a wrong type is an error before anything has changed.
local over = redis.call('ZRANGEBYSCORE', inflight, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)
take(over)
local n_over = #ids
local due = redis.call('ZRANGEBYSCORE', pending, '-inf', now, 'WITHSCORES', 'LIMIT', 0, limit)

-- An id that is taken over and due as well is claimed once.
local again = {}
if n_over > 0 then
    local taken = {}
    for _, id in ipairs(ids) do
        taken[id] = true
    end
    local scores = redis.call('ZMSCORE', pending, unpack(ids))
    for i, score in ipairs(scores) do
        if score and tonumber(score) <= tonumber(now) then
            again[#again + 1] = ids[i]
        end
    end
    local others = {}
    for i = 1, #due, 2 do
        if not taken[due[i]] and n_over + #others / 2 < limit then
            others[#others + 1] = due[i]
            others[#others + 1] = due[i + 1]
        end
    end
    due = others
end
take(due)

local n = #ids
local n_failed = redis.call('HLEN', failed)
local records = {}
if n > 0 and n_failed > 0 then
    records = redis.call('HMGET', failed, unpack(ids))
end

local time = redis.call('TIME')
local n_pending, n_inflight = redis.call('ZCARD', pending), redis.call('ZCARD', inflight)
local first = redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')

if n > 0 then
    -- A script that fails has changed nothing: whatever Redis may refuse it refuses here, where each
    -- write is made once in a form that changes nothing. ZREM is the first of them, because a Redis
    -- that is out of memory refuses a script's first write when that one adds; claiming should go on
    -- there, since it needs no memory.
    local nobody = '\255 nobody'
    redis.call('ZREM', pending, nobody)
    redis.call('ZADD', inflight, 'XX', lease, nobody)

    local leased, claimed = {}, again
    for i = 1, n do
        leased[2 * i - 1] = lease
        leased[2 * i] = ids[i]
        if i > n_over then
            claimed[#claimed + 1] = ids[i]
        end
    end
    n_inflight = n_inflight + redis.call('ZADD', inflight, unpack(leased))
    if #claimed > 0 then
        n_pending = n_pending - redis.call('ZREM', pending, unpack(claimed))
    end
    first = redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')
end

return {
    tonumber(time[1]),
    tonumber(time[2]),
    n_pending,
    n_inflight,
    n_failed,
    first[2] or false,
    over,
    due,
    records,
}

-- Claims what is due: makes of it one batch under a lease. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  1 now_ms, 2 lease_ms (when the lease is to end), 3 limit (1000 at most, whatever is asked)
-- Returns {seconds, microseconds, pending, inflight, failed, kept, attention, next, lease, left, odd, over,
--   ids, records, keeps}:
--   Redis's TIME; the sizes after the claim, inflight as nil when others have claimed something too;
--   the earliest score left in pending, or nil; now, when more leases have ended;
--   lease: when the lease ends, later than asked if another one ends then: the batch's token;
--   left: about how many more are due, if the claim is full; else 0;
--   odd: how many members of leases were no batch: those were removed;
--   over: how many of ids, the first, were taken over from leases that had ended;
--   ids; records, keeps: what failed and kept hold for each of them, or nil; empty when they hold none.
local pending, leases, inflight, failed, kept = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local now, lease = ARGV[1], tonumber(ARGV[2])
local limit = math.min(tonumber(ARGV[3]), 1000)

-- Ids come from strangers too: a batch, and with it the answer, stays bounded whatever their length.
local BYTES_MAX = 4 * 1024 * 1024
local room = BYTES_MAX

-- All reads come first, so that a key of a wrong type is an error before anything has changed.
local n_pending = redis.call('ZCARD', pending)
local n_batches = redis.call('ZCARD', leases)
local n_former = redis.call('ZCARD', inflight)
local n_failed = redis.call('HLEN', failed)
local n_kept = redis.call('HLEN', kept)
local n_attention = redis.call('ZCARD', KEYS[6])
local time = redis.call('TIME')

-- One batch whose lease has ended is taken over; what of it is beyond the limit goes to pending. So
-- are claims of version 0.1, one by one.
local over, rest, former, taken = {}, {}, {}, {}
local ended, odd
local function take(id)
    room = room - #id
    if not taken[id] then
        taken[id] = true
        local to = #over < limit and over or rest
        to[#to + 1] = id
    end
end
if n_batches > 0 then
    ended = redis.call('ZRANGE', leases, '-inf', now, 'BYSCORE', 'LIMIT', 0, 1)[1]
end
if ended then
    local batch = batch_of(ended)
    odd = not batch
    for i = 2, batch and #batch or 0 do
        take(batch[i])
    end
end
if n_former > 0 and #over < limit then
    former = redis.call('ZRANGE', inflight, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit - #over)
    for i = 1, #former do
        if room > 0 then
            take(former[i])
        else
            former[i] = nil
        end
    end
end

-- Those that are due are the first of pending. One that is taken over and due is claimed once.
local due = redis.call('ZRANGE', pending, '-inf', now, 'BYSCORE', 'LIMIT', 0, limit)
local again = {}
if #over > 0 then
    for i, score in ipairs(redis.call('ZMSCORE', pending, unpack(over))) do
        if score and tonumber(score) <= tonumber(now) then
            again[#again + 1] = over[i]
        end
    end
    local others = {}
    for _, id in ipairs(due) do
        if not taken[id] and #over + #others < limit then
            others[#others + 1] = id
        end
    end
    due = others
end

-- No two batches have the same end: it is the token.
while n_batches > 0 and redis.call('ZCOUNT', leases, lease, lease) > 0 do
    lease = lease + 1
end
local ids, batch
local function pack()
    ids = due
    if #over > 0 then
        ids = {unpack(over)}
        for _, id in ipairs(due) do
            ids[#ids + 1] = id
        end
    end
    batch = #ids > 0 and cmsgpack.pack({lease, unpack(ids)}) or ''
end
pack()
if #batch > BYTES_MAX then
    local fit = {}
    for _, id in ipairs(due) do
        if room > 0 then
            room = room - #id
            fit[#fit + 1] = id
        end
    end
    due = fit
    pack()
end

local records, keeps = {}, {}
if #ids > 0 and n_failed > 0 then
    records = redis.call('HMGET', failed, unpack(ids))
end
if #ids > 0 and n_kept > 0 then
    keeps = redis.call('HMGET', kept, unpack(ids))
end
local left = 0
if #ids >= limit then
    left = redis.call('ZCOUNT', pending, '-inf', now) - #due - #again + #rest
end

-- A script that fails has changed nothing: whatever Redis may refuse it refuses here, where each
-- write is made once in a form that changes nothing. One that removes is the first, because a Redis
-- that is out of memory refuses a script's first write when that one adds; claiming should go on
-- there, since it makes room. Ids are added to where they go before they are removed from elsewhere.
if #ids > 0 then
    redis.call('ZREMRANGEBYRANK', pending, 1, 0)
end
if ended or #former > 0 then
    redis.call('ZREM', inflight, '\255 nobody')
end
if #ids > 0 then
    redis.call('ZADD', leases, lease, batch)
end
if #rest > 0 then
    local entries = {}
    for _, id in ipairs(rest) do
        entries[#entries + 1] = now
        entries[#entries + 1] = id
    end
    n_pending = n_pending + redis.call('ZADD', pending, 'LT', unpack(entries))
end
if ended then
    redis.call('ZREM', leases, ended)
    n_batches = n_batches - 1
end
if #former > 0 then
    redis.call('ZREM', inflight, unpack(former))
end
if #again > 0 then
    redis.call('ZREM', pending, unpack(again))
end
if #due > 0 then
    redis.call('ZREMRANGEBYRANK', pending, 0, #due - 1)
end

-- What else has ended is for the next claim, which need not wait for anything.
local first = score_text(redis.call('ZRANGE', pending, 0, 0, 'WITHSCORES')[2]) or false
if ended and redis.call('ZCOUNT', leases, '-inf', now) > 0 then
    first = now
end
return {
    tonumber(time[1]),
    tonumber(time[2]),
    n_pending - #again - #due,
    n_batches + n_former - #former == 0 and #ids,
    n_failed,
    n_kept,
    n_attention,
    first,
    lease,
    left,
    odd and 1 or 0,
    #over,
    ids,
    records,
    keeps,
}

-- Repairs entries, each only while it stands as it was seen. With lib_leases.lua.
-- KEYS  1 pending, 2 leases, 3 inflight, 4 failed, 5 kept, 6 attention
-- ARGV  what, id, seen, at_ms, ... for at most 1000 ids. what:
--   add     into pending at at_ms, if it has no entry, no claim and no record
--   move    to at_ms, if its score in pending is `seen`
--   remove  from pending, if its score there is `seen`
--   return  to pending at at_ms, if it is claimed until `seen`
--   unclaim from what it is claimed in, with its record, if it is claimed until `seen`
--   forget  its record, if that is `seen` and it is not claimed
--   retry   into pending at at_ms, if its record is `seen` and it has neither entry nor claim
-- Who takes an id out of a batch leaves the others in it under the same lease.
-- Returns 1 or 0 for each: repaired, or no longer as it was seen.
local pending, leases, inflight, failed = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local kept, attention = KEYS[5], KEYS[6]
local n = #ARGV / 4
if n > 1000 then
    return redis.error_reply('ERR too many ids for one script')
end
if n == 0 then
    return {}
end

local ids = {}
for i = 1, n do
    ids[i] = ARGV[4 * i - 2]
end
local scores = redis.call('ZMSCORE', pending, unpack(ids))
local former = redis.call('ZMSCORE', inflight, unpack(ids))
local ends = lease_ends(leases, inflight, ids)
local records = redis.call('HMGET', failed, unpack(ids))
local keeps = redis.call('HMGET', kept, unpack(ids))
redis.call('ZCARD', attention)

-- claims: those of version 0.1; taken: by the end of a batch's lease, the ids that leave it.
local done = {}
local entries, claims, forgotten, added, returned, taken = {}, {}, {}, {}, {}, {}
local freed = {}
local function unclaim(i, id, lease)
    if former[i] == lease then
        claims[#claims + 1] = id
    end
    taken[lease] = taken[lease] or {}
    taken[lease][id] = true
end
for i, id in ipairs(ids) do
    local what, seen, at = ARGV[4 * i - 3], ARGV[4 * i - 1], ARGV[4 * i]
    local score, lease, record, keep = scores[i], ends[i], records[i], keeps[i]
    local repaired = true
    if what == 'add' and not score and not lease and not record and not keep then
        added[#added + 1] = at
        added[#added + 1] = id
    elseif what == 'move' and score == seen and not lease then
        added[#added + 1] = at
        added[#added + 1] = id
    elseif what == 'remove' and score == seen then
        entries[#entries + 1] = id
    elseif what == 'return' and lease == seen then
        unclaim(i, id, lease)
        returned[#returned + 1] = at
        returned[#returned + 1] = id
    elseif what == 'unclaim' and lease == seen then
        unclaim(i, id, lease)
        forgotten[#forgotten + 1] = id
        if keep then
            freed[#freed + 1] = id
        end
    elseif what == 'forget' and record == seen and not lease then
        forgotten[#forgotten + 1] = id
    elseif what == 'retry' and record == seen and not score and not lease then
        added[#added + 1] = at
        added[#added + 1] = id
    else
        repaired = false
    end
    done[i] = repaired and 1 or 0
end

-- What is left of the batches, and what they were.
local batches, former_batches = {}, {}
for lease, gone in pairs(taken) do
    for _, member in ipairs(redis.call('ZRANGEBYSCORE', leases, lease, lease)) do
        local batch = batch_of(member) or {}
        local left = {batch[1]}
        for j = 2, #batch do
            if not gone[batch[j]] then
                left[#left + 1] = batch[j]
            end
        end
        if #left < #batch then
            former_batches[#former_batches + 1] = member
        end
        if #left > 1 and #left < #batch then
            batches[#batches + 1] = lease
            batches[#batches + 1] = cmsgpack.pack(left)
        end
    end
end

-- What is refused is refused before anything has changed: see claim.lua.
local nobody = '\255 nobody'
if #entries > 0 or next(taken) then
    redis.call('ZREM', pending, nobody)
end
if #freed > 0 then
    redis.call('ZREM', attention, nobody)
    redis.call('HDEL', kept, nobody)
end
if #forgotten > 0 then
    redis.call('HDEL', failed, nobody)
end
if #added > 0 then
    redis.call('ZADD', pending, unpack(added))
end
if #returned > 0 then
    redis.call('ZADD', pending, 'LT', unpack(returned))
end
if #entries > 0 then
    redis.call('ZREM', pending, unpack(entries))
end
if #claims > 0 then
    redis.call('ZREM', inflight, unpack(claims))
end
if #batches > 0 then
    redis.call('ZADD', leases, unpack(batches))
end
if #former_batches > 0 then
    redis.call('ZREM', leases, unpack(former_batches))
end
if #forgotten > 0 then
    redis.call('HDEL', failed, unpack(forgotten))
end
if #freed > 0 then
    redis.call('HDEL', kept, unpack(freed))
    redis.call('ZREM', attention, unpack(freed))
end
return done

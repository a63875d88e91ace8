-- What scripts share that have to do with claimed batches. A script whose head names this file has it
-- in front of it (tools/embed); there is nothing here but functions.
--
-- A member of leases is one batch, packed: {token, id, id, ...}, at most 1000 ids; its score is the
-- end of its lease. Whatever else a stranger may have put there is no batch, and is passed by.
local BATCH_MAX = 1000
local BATCHES_MAX = 1000 -- that are looked at; of more than these the first

-- Within scripts Redis gives scores as texts, Dragonfly as numbers. As texts they are compared and
-- answered, so that nobody else need know.
local function score_text(score)
    return type(score) == 'number' and string.format('%.17g', score) or score
end

-- The same for a list: for each of it, or (first 2, step 2) for each behind its member.
local function score_texts(list, first, step)
    for i = first or 1, #list, step or 1 do
        list[i] = score_text(list[i])
    end
    return list
end

-- How many ids a batch has, by its first bytes alone; nil: it is none.
local function batch_size(member)
    local kind, high, low = string.byte(member, 1, 3)
    local n
    if kind and kind > 0x90 and kind <= 0x9f then
        n = kind - 0x90
    elseif kind == 0xdc and low then
        n = high * 256 + low
    end
    return n and n > 1 and n <= BATCH_MAX + 1 and n - 1 or nil
end

-- {token, id, ...}, or nil when the member is no batch.
local function batch_of(member)
    local n = batch_size(member)
    if not n then
        return nil
    end
    local read, rest, batch = pcall(cmsgpack.unpack_one, member)
    if not read or rest ~= -1 then
        return nil
    end
    for i = 2, n + 1 do
        if type(batch[i]) ~= 'string' then
            return nil
        end
    end
    return batch
end

-- When the leases of some ids end, by leases and by inflight: for each the text of a score, or false
-- when it is not claimed.
local function lease_ends(leases, inflight, ids)
    local former = {}
    if redis.call('ZCARD', inflight) > 0 then
        former = redis.call('ZMSCORE', inflight, unpack(ids))
    end
    local batches = redis.call('ZRANGE', leases, 0, BATCHES_MAX - 1, 'WITHSCORES')
    local claimed = {}
    for i = 1, #batches, 2 do
        local batch, lease = batch_of(batches[i]) or {}, score_text(batches[i + 1])
        for j = 2, #batch do
            claimed[batch[j]] = lease
        end
    end
    local ends = {}
    for i, id in ipairs(ids) do
        ends[i] = claimed[id] or score_text(former[i]) or false
    end
    return ends
end

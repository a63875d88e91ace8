-- What scripts share that record kept reservations. A script whose head names this file has it in front of
-- it (tools/embed); there is nothing here but functions.

-- Reads n of them from ARGV, each id, at_ms, record, and since_ms if it wants attention, else "", from
-- position `at` on. Past `cap` records a new one is not kept. Returns what is to be written:
--   ids, entries {at_ms, id, ...}, records {id, record, ...}, wanting {since_ms, id, ...}, content {id, ...}
local function read_keeps(kept, cap, at, n)
    local keeps = {ids = {}, entries = {}, records = {}, wanting = {}, content = {}}
    local size, known = n > 0 and redis.call('HLEN', kept) or 0, {}
    for i = 1, n do
        keeps.ids[i] = ARGV[at + 4 * (i - 1)]
    end
    if n > 0 and size > 0 then
        known = redis.call('HMGET', kept, unpack(keeps.ids))
    end
    for i, id in ipairs(keeps.ids) do
        local at_ms, record, since_ms = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
        local room = known[i] or size < cap
        local into = keeps.content
        if room then
            size = size + (known[i] and 0 or 1)
            keeps.records[#keeps.records + 1] = id
            keeps.records[#keeps.records + 1] = record
        end
        if room and since_ms ~= '' then
            into = keeps.wanting
            into[#into + 1] = since_ms
        end
        into[#into + 1] = id
        keeps.entries[#keeps.entries + 1] = at_ms
        keeps.entries[#keeps.entries + 1] = id
        at = at + 4
    end
    return keeps
end

-- Records them: the first write of a script, where what is refused is refused before anything has changed.
local function write_keeps(keeps, kept, attention)
    if #keeps.ids == 0 then
        return
    end
    redis.call('ZADD', attention, 'XX', 0, '\255 nobody')
    redis.call('ZREM', attention, '\255 nobody')
    if #keeps.records > 0 then
        redis.call('HSET', kept, unpack(keeps.records))
    end
    if #keeps.content > 0 then
        redis.call('ZREM', attention, unpack(keeps.content))
    end
    if #keeps.wanting > 0 then
        redis.call('ZADD', attention, unpack(keeps.wanting))
    end
end

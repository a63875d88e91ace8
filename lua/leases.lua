-- One step through leases: what is claimed there, whoever has it. With lib_leases.lua.
-- KEYS  1 leases
-- ARGV  1 the cursor, "0" at first, 2 whether a member that is no batch is removed: 1 or 0
-- Returns {cursor, {id, end of its lease, ...}, {member, score, ...}}: the next step's cursor, "0" at
--   the end; the ids of a few batches; the first 100 bytes of each member that is no batch.
local leases = KEYS[1]
local STEP = 4 -- each may be a thousand ids

local found = redis.call('ZSCAN', leases, ARGV[1], 'COUNT', STEP)
local claims, odd = {}, {}
for i = 1, #found[2], 2 do
    local member, score = found[2][i], found[2][i + 1]
    local batch = batch_of(member)
    for j = 2, batch and #batch or 0 do
        claims[#claims + 1] = batch[j]
        claims[#claims + 1] = score
    end
    if not batch then
        odd[#odd + 1] = string.sub(member, 1, 100)
        odd[#odd + 1] = score
        if ARGV[2] == '1' then
            redis.call('ZREM', leases, member)
        end
    end
end
return {found[1], claims, odd}

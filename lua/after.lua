-- The entries that follow one entry; changes nothing. For very many of the same score, among which a
-- score does not tell where one was. With lib_leases.lua.
-- KEYS  1 pending
-- ARGV  1 id, 2 its score, 3 at most how many (1000 at most, whatever is asked)
-- Returns {id, score, ...}, in order. When the entry is gone: from the first one of that score on.
local limit = math.min(tonumber(ARGV[3]), 1000)
local rank = redis.call('ZRANK', KEYS[1], ARGV[1])
local found
if rank and tonumber(redis.call('ZSCORE', KEYS[1], ARGV[1])) == tonumber(ARGV[2]) then
    found = redis.call('ZRANGE', KEYS[1], rank + 1, rank + limit, 'WITHSCORES')
else
    found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], '+inf', 'WITHSCORES', 'LIMIT', 0, limit)
end
return score_texts(found, 2, 2)

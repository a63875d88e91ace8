-- Leaves a mark that goes when Redis loses its data.
-- KEYS  1 the mark
-- ARGV  1 what to write there
-- Returns 1 when it had to be set, 0 when it was there.
if redis.call('SET', KEYS[1], ARGV[1], 'NX') then
    return 1
end
return 0

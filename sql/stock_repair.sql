-- Sets the counter of one key to what the holds say that it counts, after stock_lock.sql in the same
-- transaction: only a statement that begins after the lock was had sees what the holders of the
-- counter before it committed.
--
-- $1 ...  the key, a parameter for each of its columns
-- Answer: the sum of the holds, whether the counter agreed with it, and whether it was set; a result below zero
--   is not, nor one of holds whose sum is not known, nor where row security may hide some of them, nor where the
--   key has a second counter.
--
-- What was set has to be there afterwards (a trigger, the type of a column): else the statement
-- fails, by a cast that cannot succeed.
{repair}

--@ repair if counters held
WITH rs$stock AS MATERIALIZED (
    SELECT {c_k}, pg_catalog.max(c.rs$free) AS rs$free, pg_catalog.max(c.rs$held) AS rs$held,
           coalesce(pg_catalog.max(c.rs$total),
                    pg_catalog.max(c.rs$free) + pg_catalog.max(c.rs$held)) AS rs$total,
           pg_catalog.count(*) AS rs$counters
      FROM (SELECT {counter_keys}, {free_of_i} AS rs$free, i.{held} AS rs$held, {total} AS rs$total
              FROM {inventory} i) c
     WHERE ({c_k}) = ({params})
     GROUP BY {c_k}
), rs$actual AS MATERIALIZED (
    SELECT coalesce(pg_catalog.sum(u.rs$units), 0) AS rs$units,
           coalesce(pg_catalog.bool_and((u.rs$units - u.rs$units = 0) IS TRUE), true)
               AND NOT {hidden} AS rs$known
      FROM ({sums}) u
), rs$righted AS MATERIALIZED (
    SELECT {s_k}, a.rs$units, s.rs$total - a.rs$units AS rs$left
      FROM rs$actual a, rs$stock s
     WHERE {none_below_zero} AND a.rs$known AND s.rs$counters = 1
       AND ({agrees}) IS NOT TRUE
), rs$repaired AS (
    UPDATE {inventory} i
       SET {righted}{stock_set}
      FROM rs$righted m
     WHERE {i_is_m}
    RETURNING {is_righted} AS rs$adds_up
)
SELECT a.rs$units, s.rs$counters = 1 AND {agrees},
       EXISTS (SELECT FROM rs$repaired),
       (SELECT pg_catalog.concat('<sweeper counter>the counter of product ', {s_key_text},
                                 ' was not set to exactly ', a.rs$units, '</sweeper>')::integer
          FROM rs$repaired m WHERE m.rs$adds_up IS NOT TRUE LIMIT 1)
  FROM rs$actual a, rs$stock s

--@ repair

--@ agrees if free
s.rs$held = a.rs$units AND s.rs$free + s.rs$held = s.rs$total

--@ agrees
s.rs$held = a.rs$units

--@ none_below_zero if free
a.rs$units >= 0 AND s.rs$total - a.rs$units >= 0

--@ none_below_zero
a.rs$units >= 0

--@ righted if free
{free} = m.rs$left, {held} = m.rs$units

--@ righted
{held} = m.rs$units

--@ is_righted if free
i.{free} = m.rs$left AND i.{held} = m.rs$units

--@ is_righted
i.{held} = m.rs$units

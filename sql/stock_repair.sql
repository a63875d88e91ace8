-- Sets one product's counters to what its active reservations say, after stock_lock.sql in the same
-- transaction: only a statement that begins after the lock was had sees what the holders of the
-- counter before it committed.
--
-- $1  the product
-- Answer: the sum of its active reservations, whether the counters agreed with it, and whether they
--   were set; a result below zero is not, nor one of reservations whose sum is not known, nor where
--   row security may hide some of them, nor where the product has a second row.
--
-- What was set has to be there afterwards (a trigger, the type of a column): else the statement
-- fails, by a cast that cannot succeed.
{repair}

--@ repair if counters !composite free held
WITH rs$actual AS MATERIALIZED (
    SELECT coalesce(pg_catalog.sum(h.rs$units), 0) AS units,
           coalesce(pg_catalog.bool_and((h.rs$units - h.rs$units = 0) IS TRUE), true)
               AND NOT pg_catalog.row_security_active({reservations_text})
               AND NOT pg_catalog.row_security_active({inventory_text}) AS known
      FROM (SELECT {hold_keys}, {quantity} AS rs$units
              FROM {reservations} r
             WHERE {typed}
               AND {active}) h
     WHERE h.rs$k1 = $1
), rs$stock AS MATERIALIZED (
    SELECT c.rs$k1, pg_catalog.max(c.rs$available) AS rs$available,
           pg_catalog.max(c.rs$reserved) AS rs$reserved,
           coalesce(pg_catalog.max(c.rs$total),
                    pg_catalog.max(c.rs$available) + pg_catalog.max(c.rs$reserved)) AS rs$total,
           pg_catalog.count(*) AS rs$counters
      FROM (SELECT {counter_keys}, i.{free} AS rs$available,
                   i.{held} AS rs$reserved, {total} AS rs$total
              FROM {inventory} i) c
     WHERE c.rs$k1 = $1
     GROUP BY c.rs$k1
), rs$righted AS MATERIALIZED (
    SELECT s.rs$k1, a.units AS rs$units, s.rs$total - a.units AS rs$left
      FROM rs$actual a, rs$stock s
     WHERE s.rs$total - a.units >= 0 AND a.known AND s.rs$counters = 1
       AND (s.rs$reserved IS DISTINCT FROM a.units
            OR (s.rs$available + s.rs$reserved = s.rs$total) IS NOT TRUE)
), rs$repaired AS (
    UPDATE {inventory} i
       SET {free} = m.rs$left, {held} = m.rs$units{stock_set}
      FROM rs$righted m
     WHERE {i_is_m}
    RETURNING i.{free} = m.rs$left AND i.{held} = m.rs$units AS adds_up
)
SELECT a.units, s.rs$counters = 1 AND s.rs$reserved = a.units
                AND s.rs$available + s.rs$reserved = s.rs$total,
       EXISTS (SELECT FROM rs$repaired),
       (SELECT pg_catalog.concat('<sweeper counter>the counter of product ', $1::pg_catalog.text,
                                 ' was not set to exactly ', a.units, '</sweeper>')::integer
          FROM rs$repaired m WHERE m.adds_up IS NOT TRUE LIMIT 1)
  FROM rs$actual a, rs$stock s

--@ repair

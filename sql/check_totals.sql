-- Whether the total is the sum of what is free and what is held, for --check-config: asked where a queue
-- has all three.
--
-- Answer, one row: counters that were looked at, of these with another total, and the key of one
SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE s.rs$differs),
       pg_catalog.left(pg_catalog.min({s_key_text}) FILTER (WHERE s.rs$differs), 80)
  FROM (SELECT {counter_keys}, i.{free} + i.{held} <> i.{total_stock} AS rs$differs
          FROM {inventory} i
         LIMIT 10000) s

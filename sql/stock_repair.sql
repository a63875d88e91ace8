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
WITH actual AS MATERIALIZED (
    SELECT coalesce(pg_catalog.sum(r.{quantity}), 0) AS units,
           coalesce(pg_catalog.bool_and((r.{quantity} - r.{quantity} = 0) IS TRUE), true)
               AND NOT pg_catalog.row_security_active({reservations_text})
               AND NOT pg_catalog.row_security_active({inventory_text}) AS known
      FROM {reservations} r
     WHERE {typed} AND r.{product_id} = $1 AND r.{status} = {active}
), stock AS MATERIALIZED (
    SELECT pg_catalog.max({available_stock}) AS available,
           pg_catalog.max({reserved_stock}) AS reserved,
           coalesce(pg_catalog.max({total}),
                    pg_catalog.max({available_stock}) + pg_catalog.max({reserved_stock})) AS total,
           pg_catalog.count(*) AS counters
      FROM {inventory}
     WHERE {stock_product_id} = $1
), repaired AS (
    UPDATE {inventory} i
       SET {available_stock} = s.total - a.units, {reserved_stock} = a.units,
           {stock_updated_at} = {now_stock_updated}
      FROM actual a, stock s
     WHERE {stock_typed}
       AND i.{stock_product_id} = $1
       AND s.total - a.units >= 0 AND a.known AND s.counters = 1
       AND (s.reserved IS DISTINCT FROM a.units
            OR (s.available + s.reserved = s.total) IS NOT TRUE)
    RETURNING i.{available_stock} = s.total - a.units AND i.{reserved_stock} = a.units AS adds_up
)
SELECT a.units, s.counters = 1 AND s.reserved = a.units AND s.available + s.reserved = s.total,
       EXISTS (SELECT FROM repaired),
       (SELECT pg_catalog.concat('<sweeper counter>the counter of product ', $1::pg_catalog.text,
                                 ' was not set to exactly ', a.units, '</sweeper>')::integer
          FROM repaired m WHERE m.adds_up IS NOT TRUE LIMIT 1)
  FROM actual a, stock s

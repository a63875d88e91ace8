-- Sets one product's counters to what its active reservations say, after stock_lock.sql in the same
-- transaction: only a statement that begins after the lock was had sees what the holders of the
-- counter before it committed.
--
-- $1  the product
-- Answer: the sum of its active reservations, whether the counters agreed with it, and whether they
--   were set; a result below zero is not.
WITH held AS MATERIALIZED (
    SELECT coalesce(pg_catalog.sum(r.{quantity}), 0) AS units
      FROM {reservations} r
     WHERE {typed} AND r.{product_id} = $1 AND r.{status} = {active}
), stock AS MATERIALIZED (
    SELECT {available_stock} AS available, {reserved_stock} AS reserved,
           coalesce({total_stock}, {available_stock} + {reserved_stock}) AS total
      FROM {inventory}
     WHERE {stock_product_id} = $1
), mended AS (
    UPDATE {inventory} i
       SET {available_stock} = s.total - h.units, {reserved_stock} = h.units,
           {stock_updated_at} = {now_stock_updated}
      FROM held h, stock s
     WHERE {stock_typed}
       AND i.{stock_product_id} = $1
       AND s.total - h.units >= 0
       AND (s.reserved <> h.units OR s.available + s.reserved <> s.total)
    RETURNING 1
)
SELECT h.units::bigint,
       s.reserved = h.units AND s.available + s.reserved = s.total,
       EXISTS (SELECT FROM mended)
  FROM held h, stock s

-- Releases a batch: ids in, an outcome for each out. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- Answer: one row for each asked id and each of its rows (one row for an id that has none)
--   n            position of the id in $1, from 1
--   expires_at   the latest of its active rows, in seconds since the epoch, or (-)Infinity
--   units        the row's quantity, when it was released
--   unheld       the row's product, when its counter is not held: somebody else has it locked, or
--                there is no such inventory row (then a released row has it too); "" for none
--   found        the id has a row
--   active_rows  how many of its rows were active
--   due          the latest expires_at of those has come
--
-- Why it is written so (docs/ARCHITECTURE.md, "The release statement"):
-- * Counters are locked first, in product order, skipping those that a checkout holds; a
--   reservation is flipped only when all its counters and all its active rows are held. Nothing
--   else is written: no lost update, and nobody waits.
-- * `picked` restates what makes a row releasable, so that a row which changed between the
--   statement's snapshot and its lock is judged by its newest version; when that is another place
--   (now_at), its reservation is left for the next attempt.
-- * Stock sums come from RETURNING alone: what was not flipped is not given back.
WITH seen AS MATERIALIZED (
    SELECT a.n, r.tableoid AS part, r.ctid AS place, r.{product_id} AS product_id,
           r.{status} = {active} AS active,
           pg_catalog.count(*) FILTER (WHERE r.{status} = {active}) OVER same AS active_rows,
           pg_catalog.max(r.{expires_at}) FILTER (WHERE r.{status} = {active}) OVER same AS expires_at
      FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
      LEFT JOIN {reservations} r ON {typed} AND r.{id} = a.id
    WINDOW same AS (PARTITION BY a.n)
), held AS MATERIALIZED (
    SELECT i.{stock_product_id} AS product_id
      FROM {inventory} i
     WHERE {stock_typed}
       AND i.{stock_product_id} IN (SELECT s.product_id FROM seen s
                                     WHERE s.active AND s.expires_at <= {now_expires})
     ORDER BY i.{stock_product_id}
       FOR NO KEY UPDATE OF i {skip_locked}
), picked AS MATERIALIZED (
    SELECT s.n, s.active_rows, s.part, s.place, s.product_id, r.ctid AS now_at
      FROM seen s
      JOIN {reservations} r
        ON r.tableoid = s.part AND r.ctid = s.place
        AND r.{product_id} IS NOT DISTINCT FROM s.product_id
     WHERE s.active AND s.expires_at <= {now_expires}
       AND r.{status} = {active} AND r.{expires_at} <= {now_expires}
       AND (s.product_id IN (SELECT h.product_id FROM held h)
            OR NOT EXISTS (SELECT FROM {inventory} i
                            WHERE i.{stock_product_id} = s.product_id))
       FOR NO KEY UPDATE OF r SKIP LOCKED
), flipped AS (
    UPDATE {reservations} r
       SET {status} = {released}, {updated_at} = {now_updated}
      FROM (SELECT p.n, p.part, p.place, p.active_rows,
                   pg_catalog.count(*) FILTER (WHERE p.now_at = p.place) OVER (PARTITION BY p.n)
                       AS locked_rows
              FROM picked p) p
     WHERE p.locked_rows = p.active_rows
       AND r.tableoid = p.part AND r.ctid = p.place
       AND r.{status} = {active} AND r.{expires_at} <= {now_expires}
    RETURNING p.n, p.part, p.place, r.{product_id} AS product_id, r.{quantity} AS quantity
), stocked AS (
    UPDATE {inventory} i
       SET {available_stock} = i.{available_stock} + f.units,
           {reserved_stock} = i.{reserved_stock} - f.units,
           {stock_updated_at} = {now_stock_updated}
      FROM (SELECT product_id, pg_catalog.sum(quantity) AS units,
                   product_id IN (SELECT h.product_id FROM held h) AS held
              FROM flipped GROUP BY product_id) f
     WHERE i.{stock_product_id} = f.product_id AND f.held
)
SELECT s.n, extract(epoch FROM s.expires_at) AS expires_at, f.quantity AS units,
       CASE WHEN s.active AND (s.product_id IN (SELECT h.product_id FROM held h)) IS NOT TRUE
            THEN coalesce(s.product_id::pg_catalog.text, '') END AS unheld,
       s.place IS NOT NULL AS found, s.active_rows, s.expires_at <= {now_expires} AS due
  FROM seen s
  LEFT JOIN flipped f ON f.n = s.n AND f.part = s.part AND f.place = s.place

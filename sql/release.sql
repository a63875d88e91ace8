-- Releases a batch: ids in, an outcome for each out. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- Answer: one row for each asked id and each of its rows (one row for an id that has none)
--   n           position of the id in $1, from 1
--   outcome     released | settled (no active row) | missing (no row) | not_due | locked
--   expires_us  the latest expires_at of its active rows, microseconds since the epoch
--   units       released: the row's quantity
--   counter     locked: the product whose inventory row was not to be had, if that was it;
--               released: '' when the product has no inventory row
--   clock_us    Postgres's clock
--
-- Why it is written so (docs/ARCHITECTURE.md, "The release statement"):
-- * Counters are locked first, in product order; a reservation is flipped only when all its
--   counters and all its active rows are held. Nothing else is written: no lost update.
-- * `picked` restates what makes a row releasable, so that a row which changed between the
--   statement's snapshot and its lock is judged by its newest version.
-- * `flipped` finds rows by their place (ctid) and restates the same conditions: a row that moved
--   is judged again, never assumed.
-- * Stock sums come from RETURNING alone: what was not flipped is not given back.
WITH seen AS MATERIALIZED (
    SELECT a.n, r.tableoid AS part, r.ctid AS place, r.{product_id} AS product_id,
           count(*) FILTER (WHERE r.{status} = {active}) OVER same AS active_rows,
           max(r.{expires_at}) FILTER (WHERE r.{status} = {active}) OVER same AS expires_at,
           r.{status} = {active}
             AND max(r.{expires_at}) FILTER (WHERE r.{status} = {active}) OVER same
                 <= {now_expires} AS due
      FROM unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
      LEFT JOIN {reservations} r ON r.{id} = a.id
    WINDOW same AS (PARTITION BY a.n)
), held AS MATERIALIZED (
    SELECT i.{stock_product_id} AS product_id
      FROM {inventory} i
     WHERE i.{stock_product_id} IN (SELECT s.product_id FROM seen s WHERE s.due)
     ORDER BY i.{stock_product_id}
       FOR NO KEY UPDATE OF i {skip_locked}
), picked AS MATERIALIZED (
    SELECT s.n, s.active_rows, s.part, s.place, s.product_id
      FROM seen s
      JOIN {reservations} r
        ON r.tableoid = s.part AND r.ctid = s.place AND r.{product_id} = s.product_id
     WHERE s.due AND r.{status} = {active} AND r.{expires_at} <= {now_expires}
       AND (s.product_id IN (SELECT h.product_id FROM held h)
            OR NOT EXISTS (SELECT FROM {inventory} i
                            WHERE i.{stock_product_id} = s.product_id))
       FOR NO KEY UPDATE OF r SKIP LOCKED
), flipped AS (
    UPDATE {reservations} r
       SET {status} = {released}, {updated_at} = {now_updated}
      FROM (SELECT p.*, count(*) OVER (PARTITION BY p.n) AS locked_rows FROM picked p) p
     WHERE r.tableoid = p.part AND r.ctid = p.place AND r.{product_id} = p.product_id
       AND r.{status} = {active} AND r.{expires_at} <= {now_expires}
       AND p.locked_rows = p.active_rows
    RETURNING p.n, r.{product_id} AS product_id, r.{quantity} AS quantity
), stocked AS (
    UPDATE {inventory} i
       SET {available_stock} = i.{available_stock} + f.units,
           {reserved_stock} = i.{reserved_stock} - f.units,
           {stock_updated_at} = {now_stock_updated}
      FROM (SELECT product_id, sum(quantity) AS units FROM flipped GROUP BY product_id) f
     WHERE i.{stock_product_id} = f.product_id
    RETURNING i.{stock_product_id} AS product_id
)
SELECT s.n,
       CASE WHEN f.n IS NOT NULL THEN 'released'
            WHEN s.place IS NULL THEN 'missing'
            WHEN s.active_rows = 0 THEN 'settled'
            WHEN s.expires_at <= {now_expires} THEN 'locked'
            ELSE 'not_due' END AS outcome,
       CASE WHEN s.expires_at IS NOT NULL THEN
           (extract(epoch FROM least(greatest(s.expires_at, '1970-01-01'), '9999-12-31'))
            * 1000000)::bigint END AS expires_us,
       f.quantity::bigint AS units,
       CASE WHEN f.n IS NOT NULL THEN
                CASE WHEN NOT f.product_id IN (SELECT c.product_id FROM stocked c) THEN '' END
            WHEN s.due THEN
                CASE WHEN NOT s.product_id IN (SELECT h.product_id FROM held h)
                     THEN s.product_id::text END END AS counter,
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint AS clock_us
  FROM seen s
  LEFT JOIN flipped f ON f.n = s.n AND f.product_id = s.product_id

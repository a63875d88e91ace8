-- Releases what it can of a backlog's batch in one go, waiting for rows and counters that somebody
-- holds, up to lock_timeout each. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- Answer: one row for each row that was released; of other ids it says nothing
--   n            position of the id in $1, from 1
--   expires_at   the latest of the reservation's active rows, in seconds since the epoch
--   units        the row's quantity
--   unheld       the row's product, when it has no counter
--
-- Why it is written so (docs/ARCHITECTURE.md, "The release statement"):
-- * Several workers that skipped what is held would skip each other's counters all the time. Here
--   the counters come last, so that they are held for a moment only, and in product order, so that
--   two releases do not wait for each other in a circle. Should the planner choose another order
--   one day, the lock timeout, far below any deadlock_timeout, ends that.
-- * A reservation is due when the latest of its active rows is; one that was flipped in part,
--   since another of its rows changed meanwhile, fails the statement (a division by zero).
-- * A row that changed between the snapshot and its lock is judged by its newest version: what
--   makes it releasable is restated of r itself.
-- * Whatever fails, and whatever the answer does not name, is judged by sql/release.sql.
WITH flipped AS (
    UPDATE {reservations} r
       SET {status} = {released}, {updated_at} = {now_updated}
      FROM unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
     CROSS JOIN LATERAL (SELECT count(*) AS active_rows, max(s.{expires_at}) AS expires_at
                           FROM {reservations} s
                          WHERE s.{id} = a.id AND s.{status} = {active}) whole
     WHERE r.{id} = a.id AND whole.expires_at <= {now_expires}
       AND r.{status} = {active} AND r.{expires_at} <= {now_expires}
    RETURNING a.n, whole.active_rows, whole.expires_at, r.{product_id} AS product_id,
              r.{quantity} AS quantity
), stocked AS (
    UPDATE {inventory} i
       SET {available_stock} = i.{available_stock} + f.units,
           {reserved_stock} = i.{reserved_stock} - f.units,
           {stock_updated_at} = {now_stock_updated}
      FROM (SELECT product_id, sum(quantity) AS units
              FROM flipped GROUP BY product_id ORDER BY product_id) f
     WHERE i.{stock_product_id} = f.product_id
    RETURNING i.{stock_product_id} AS product_id
)
SELECT f.n, extract(epoch FROM f.expires_at) AS expires_at, f.quantity AS units,
       CASE WHEN NOT f.product_id IN (SELECT s.product_id FROM stocked s)
            THEN f.product_id::text END AS unheld,
       1 / CASE WHEN EXISTS (SELECT FROM flipped p WHERE p.active_rows > 1
                              GROUP BY p.n, p.active_rows HAVING count(*) <> p.active_rows)
                THEN 0 ELSE 1 END AS none_in_part
  FROM flipped f

-- Releases a batch: ids in, an outcome for each out. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- Answer: one row for each asked id and each of its rows (one row for an id that has none)
--   n            position of the id in $1, from 1
--   expires_at   the latest of its active rows, in seconds since the epoch, or (-)Infinity; NULL
--                when one of them has none: it never expires
--   units        the row's quantity, when it was released
--   unheld       the row's product, when its counter is not held: somebody else has it locked, or
--                there is no such inventory row (then a released row has it too); "" for none
--   found        the id has a row
--   active_rows  how many of its rows were active
--   due          the latest expires_at of those has come
--   adds_up, noted  of no interest
--
-- Why it is written so (docs/ARCHITECTURE.md, "The release statement"):
-- * Counters are locked first, in product order, skipping those that a checkout holds; a
--   reservation is flipped only when all its counters and all its active rows are held. Nothing
--   else is written: no lost update, and nobody waits.
-- * `picked` restates what makes a row releasable, so that a row which changed between the
--   statement's snapshot and its lock is judged by its newest version; when that is another place
--   (now_at), its reservation is left for the next attempt.
-- * Units are those of the rows as they were locked. A trigger may make anything of a row.
-- * `wrong`: what was to be changed was, row by row, and each counter once, by its units. If not,
--   the statement fails with a sentence, by a cast that cannot succeed (release.c reads it). With
--   triggers or rules of the shop's, sql/release_check.sql looks again afterwards.
WITH seen AS MATERIALIZED (
    SELECT a.n, r.tableoid AS part, r.ctid AS place, r.{product_id} AS product_id,
           r.{status} = {active} AS active,
           pg_catalog.count(*) FILTER (WHERE r.{status} = {active}) OVER same AS active_rows,
           CASE WHEN pg_catalog.bool_and(r.{expires_at} IS NOT NULL)
                         FILTER (WHERE r.{status} = {active}) OVER same
                THEN pg_catalog.max(r.{expires_at}) FILTER (WHERE r.{status} = {active}) OVER same
                END AS expires_at
      FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
      LEFT JOIN {reservations} r ON {typed} AND r.{id} = a.id
    WINDOW same AS (PARTITION BY a.n)
), held AS MATERIALIZED (
    SELECT i.{stock_product_id} AS product_id, i.{available_stock} AS available,
           i.{reserved_stock} AS reserved
      FROM {inventory} i
     WHERE {stock_typed}
       AND i.{stock_product_id} IN (SELECT s.product_id FROM seen s
                                     WHERE s.active AND s.expires_at <= {now_expires})
     ORDER BY i.{stock_product_id}
       FOR NO KEY UPDATE OF i {skip_locked}
), picked AS MATERIALIZED (
    SELECT s.n, s.active_rows, s.part, s.place, s.product_id, r.{quantity} AS quantity,
           r.ctid AS now_at
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
), taken AS MATERIALIZED (
    SELECT p.n, p.part, p.place, p.product_id, p.quantity
      FROM (SELECT p.*, pg_catalog.count(*) FILTER (WHERE p.now_at = p.place) OVER (PARTITION BY p.n)
                       AS locked_rows
              FROM picked p) p
     WHERE p.locked_rows = p.active_rows
), flipped AS (
    UPDATE {reservations} r
       SET {status} = {released}, {updated_at} = {now_updated}
      FROM taken t
     WHERE r.tableoid = t.part AND r.ctid = t.place
       AND r.{status} = {active} AND r.{expires_at} <= {now_expires}
    RETURNING t.n, t.part, t.place, t.product_id, t.quantity, r.{status} = {active} AS still_active
), moved AS MATERIALIZED (
    SELECT f.product_id, f.units, h.counters, h.available, h.reserved
      FROM (SELECT product_id, pg_catalog.sum(quantity) AS units FROM flipped GROUP BY product_id) f
      LEFT JOIN (SELECT product_id, pg_catalog.count(*) AS counters, pg_catalog.min(available) AS available,
                        pg_catalog.min(reserved) AS reserved
                   FROM held GROUP BY product_id) h ON h.product_id = f.product_id
), stocked AS (
    UPDATE {inventory} i
       SET {available_stock} = i.{available_stock} + m.units,
           {reserved_stock} = i.{reserved_stock} - m.units,
           {stock_updated_at} = {now_stock_updated}
      FROM moved m
     WHERE i.{stock_product_id} = m.product_id AND m.counters > 0 AND m.units - m.units = 0
    RETURNING m.product_id, i.{available_stock} = m.available + m.units
                            AND i.{reserved_stock} = m.reserved - m.units AS adds_up
), wrong AS (
    SELECT 'row>a row of product ' || coalesce(t.product_id::pg_catalog.text, 'NULL') || ' has the quantity '
           || coalesce(t.quantity::pg_catalog.text, 'NULL') || ', which cannot be given back' AS what
      FROM taken t
     WHERE (t.quantity - t.quantity = 0) IS NOT TRUE
    UNION ALL
    SELECT 'row>a row of product ' || coalesce(t.product_id::pg_catalog.text, 'NULL') || ' was not changed by'
           || ' the release, or is active after it: a trigger, a rule or row security of table '
           || {reservations_text} || ' stands in the way'
      FROM taken t
     WHERE (SELECT pg_catalog.count(*) FROM taken) <> (SELECT pg_catalog.count(*) FROM flipped f
                                             WHERE f.still_active IS FALSE)
       AND NOT EXISTS (SELECT FROM flipped f
                        WHERE f.n = t.n AND f.part = t.part AND f.place = t.place
                          AND f.still_active IS FALSE)
    UNION ALL
    SELECT 'counter>'
           || CASE WHEN m.counters IS NULL
                   THEN 'the counter of product ' || m.product_id::pg_catalog.text || ' cannot be seen, and row'
                        || ' security of table ' || {inventory_text} || ' is in force for this role'
                   WHEN m.counters > 1 OR s.rows > 1
                   THEN 'product ' || m.product_id::pg_catalog.text || ' has more than one row in table '
                        || {inventory_text} || ', and a release must change one'
                   WHEN s.rows IS NULL
                   THEN 'the counter of product ' || m.product_id::pg_catalog.text || ' was not changed by the'
                        || ' release: a trigger, a rule or row security of table '
                        || {inventory_text} || ' stands in the way'
                   ELSE 'the counter of product ' || m.product_id::pg_catalog.text || ' was not changed by'
                        || ' exactly ' || m.units::pg_catalog.text || ': a trigger or a rule of table '
                        || {inventory_text} || ', or the type of its columns, stands in the way'
              END
      FROM moved m
      LEFT JOIN (SELECT product_id, pg_catalog.count(*) AS rows, pg_catalog.bool_and(adds_up) AS adds_up
                   FROM stocked GROUP BY product_id) s ON s.product_id = m.product_id
     WHERE m.product_id IS NOT NULL
       AND CASE WHEN m.counters IS NULL
                THEN pg_catalog.row_security_active({inventory_text})
                ELSE (m.counters = 1 AND s.rows = 1 AND s.adds_up) IS NOT TRUE END
    UNION ALL
    SELECT 'counter>the counter of product ' || s.product_id::pg_catalog.text || ' can be seen and not'
           || ' changed: row security of table ' || {inventory_text} || ' stands in the way'
      FROM seen s
     WHERE {waiting} AND pg_catalog.row_security_active({inventory_text})
       AND s.active AND s.expires_at <= {now_expires}
       AND s.product_id NOT IN (SELECT h.product_id FROM held h)
       AND EXISTS (SELECT FROM {inventory} i WHERE i.{stock_product_id} = s.product_id)
    UNION ALL
    SELECT 'tables>triggers or rules of the two tables have changed' WHERE {meddled}
    LIMIT 1
)
SELECT s.n, extract(epoch FROM s.expires_at) AS expires_at, f.quantity AS units,
       CASE WHEN s.active AND (s.product_id IN (SELECT h.product_id FROM held h)) IS NOT TRUE
            THEN coalesce(s.product_id::pg_catalog.text, '') END AS unheld,
       s.place IS NOT NULL AS found, s.active_rows, s.expires_at <= {now_expires} AS due,
       (SELECT ('<sweeper ' || w.what || '</sweeper>')::integer FROM wrong w) AS adds_up,
       {noted} AS noted
  FROM seen s
  LEFT JOIN flipped f ON f.n = s.n AND f.part = s.part AND f.place = s.place

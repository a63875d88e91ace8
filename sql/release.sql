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
-- Why it is written so (docs/design/release-statement.md):
-- * Counters are locked first, in product order, passing by those that a checkout holds; a
--   reservation is flipped only when all its counters and all its active rows are held. Nothing
--   else is written: no lost update, and nobody waits.
-- * `picked` restates what makes a row releasable, so that a row which changed between the
--   statement's snapshot and its lock is judged by its newest version; when that is another place
--   (now_at), its reservation is left for the next attempt. So what is flipped is what was seen, the
--   quantity too. Today's Postgres compares the place of the newer version again (the recheck of a TID scan)
--   and drops it, before anything else is asked of it: there no test can see that status and expiry
--   are restated, nor that now_at is compared. They are for other plans, and for a Postgres without
--   that recheck, which judges the newer version by what is restated.
-- * Units are those of the rows as they were locked. A trigger may make anything of a row.
-- * The explaining form: `adds_up`: what was to be changed was, row by row, and each counter once, by its
--   units. If not, the statement fails with a sentence, by a cast that cannot succeed (release.c reads
--   it): of the first row of the answer that may be at fault, since the plan of a join would cost more
--   than all the rest; alone, a reservation is. With triggers or rules of the shop's,
--   sql/release_check.sql looks again afterwards.
-- * The lean form: where nothing stands in the way (mapping_allows_lean), it is enough that nothing does by
--   now: no row security, no triggers, no fractions, no second counter, none that is NULL. Else it
--   fails (a division by zero), and is sent again in the explaining form: a third of a lone release's cost.
WITH seen AS MATERIALIZED (
    SELECT a.n, r.tableoid AS part, r.ctid AS place, r.{product_id} AS product_id,
           r.{quantity} AS quantity, r.{status} = {active} AS active,
           pg_catalog.count(*) FILTER (WHERE r.{status} = {active}) OVER same AS active_rows,
           {latest_expires} AS expires_at
      FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
      LEFT JOIN {reservations} r ON {typed} AND r.{id} = a.id
    WINDOW same AS (PARTITION BY a.n)
), held AS MATERIALIZED (
    SELECT i.{stock_product_id} AS product_id{counters_before}
      FROM {inventory} i
     WHERE {stock_typed}
       AND i.{stock_product_id} = ANY (ARRAY(SELECT s.product_id FROM seen s
                                              WHERE s.active AND {due}))
     ORDER BY i.{stock_product_id}
       FOR NO KEY UPDATE OF i {skip_locked}
), picked AS MATERIALIZED (
    SELECT s.n, s.active_rows, s.part, s.place, s.product_id, s.quantity, r.ctid AS now_at
      FROM seen s
      JOIN {reservations} r ON r.tableoid = s.part AND r.ctid = s.place
     WHERE s.active AND {due}
       AND {releasable}
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
       {set_released}
      FROM taken t
     WHERE r.tableoid = t.part AND r.ctid = t.place
    RETURNING t.n, t.product_id, t.quantity{rows_after}
), {the_rest}

--@ latest_expires if expires_nullable
-- NULL: one of its active rows never expires.
CASE WHEN pg_catalog.bool_and(r.{expires_at} IS NOT NULL)
 FILTER (WHERE r.{status} = {active}) OVER same THEN {latest} END

--@ latest_expires
{latest}

--@ latest
pg_catalog.max(r.{expires_at}) FILTER (WHERE r.{status} = {active}) OVER same

--@ skip_locked if waiting

--@ skip_locked
SKIP LOCKED

--@ counters_before if lean

--@ counters_before
, i.{available_stock} AS available, i.{reserved_stock} AS reserved

--@ rows_after if lean

--@ rows_after
, t.part, t.place, r.{status} = {active} AS still_active

--@ the_rest if lean
stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM (SELECT product_id, pg_catalog.sum(quantity) AS units FROM flipped GROUP BY product_id) m
     WHERE i.{stock_product_id} = m.product_id
    RETURNING m.product_id,
              {counter_known}
                  AS known
)
SELECT s.n, extract(epoch FROM s.expires_at) AS expires_at,
       CASE WHEN s.active AND s.n IN (SELECT f.n FROM flipped f) THEN s.quantity END AS units,
       CASE WHEN s.active AND (s.product_id IN (SELECT h.product_id FROM held h)) IS NOT TRUE
            THEN coalesce(s.product_id::pg_catalog.text, '') END AS unheld,
       s.place IS NOT NULL AS found, s.active_rows, {due} AS due,
       1 / CASE WHEN s.active AND (s.quantity % 1 = 0) IS NOT TRUE
                  OR {meddled}
                  OR (SELECT pg_catalog.row_security_active({reservations_text})
                             OR pg_catalog.row_security_active({inventory_text})
                             OR pg_catalog.count(*)
                                <> pg_catalog.count(DISTINCT CASE WHEN c.known THEN c.product_id END)
                        FROM stocked c)
                THEN 0 ELSE 1 END AS adds_up,
       0 AS noted
  FROM seen s

--@ the_rest
moved AS MATERIALIZED (
    SELECT f.product_id, f.units, h.counters, h.available, h.reserved
      FROM (SELECT product_id, pg_catalog.sum(quantity) AS units FROM flipped GROUP BY product_id) f
      LEFT JOIN (SELECT product_id, pg_catalog.count(*) AS counters, pg_catalog.min(available) AS available,
                        pg_catalog.min(reserved) AS reserved
                   FROM held GROUP BY product_id) h ON h.product_id = f.product_id
), stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM moved m
     WHERE i.{stock_product_id} = m.product_id AND m.counters > 0 AND m.units - m.units = 0
    RETURNING m.product_id, m.counters = 1 AND i.{available_stock} - m.available = m.units
                            AND m.reserved - i.{reserved_stock} = m.units AS adds_up
)
SELECT s.n, extract(epoch FROM s.expires_at) AS expires_at, f.quantity AS units,
       CASE WHEN s.active AND s.held IS NOT TRUE
            THEN coalesce(s.product_id::pg_catalog.text, '') END AS unheld,
       s.place IS NOT NULL AS found, s.active_rows, {due} AS due,
       CASE WHEN s.active AND (NOT f.still_active AND f.quantity - f.quantity = 0) IS NOT TRUE
                 AND (SELECT pg_catalog.count(*) FROM taken)
                     <> (SELECT pg_catalog.count(*) FROM flipped f
                          WHERE NOT f.still_active AND f.quantity - f.quantity = 0)
            THEN pg_catalog.concat(
                     '<sweeper row>a row of product ', coalesce(s.product_id::pg_catalog.text, 'NULL'),
                     CASE WHEN f.n IS NULL THEN ' was not changed by the release'
                          WHEN f.still_active THEN ' is active after the release'
                          ELSE pg_catalog.concat(' cannot be given back, with the quantity ',
                                       coalesce(f.quantity::pg_catalog.text, 'NULL')) END,
                     ': a trigger, a rule, row security or a column of table ',
                     {reservations_text}, ' stands in the way</sweeper>')::integer
            WHEN f.n IS NOT NULL AND s.held AND s.adds_up IS NOT TRUE
            THEN pg_catalog.concat(
                     '<sweeper counter>the counter of product ', s.product_id,
                     ' was not changed, once and by exactly its units: row security, a trigger, a'
                     ' rule or the type of a column of table ', {inventory_text},
                     ', or a second row of the product, stands in the way</sweeper>')::integer
            WHEN f.n IS NOT NULL AND s.product_id IS NOT NULL AND s.held IS NOT TRUE
                 AND pg_catalog.row_security_active({inventory_text})
            THEN pg_catalog.concat(
                     '<sweeper counter>the counter of product ', s.product_id,
                     ' cannot be seen: row security of table ', {inventory_text},
                     ' is in force for this role</sweeper>')::integer
            WHEN {meddled}
            THEN pg_catalog.concat('<sweeper tables>the triggers of the tables have changed',
                                   s.n - s.n, '</sweeper>')::integer
            {or_hidden}
             END AS adds_up,
       {noted} AS noted
  FROM (SELECT s.*, s.product_id IN (SELECT h.product_id FROM held h) AS held,
               s.product_id IN (SELECT c.product_id FROM stocked c
                                 GROUP BY c.product_id
                                HAVING pg_catalog.count(*) = 1
                                   AND pg_catalog.bool_and(c.adds_up)) AS adds_up
          FROM seen s
        OFFSET 0) s
  LEFT JOIN flipped f ON f.n = s.n AND f.part = s.part AND f.place = s.place

--@ or_hidden if waiting counters_hidden
-- A counter that can be seen, and was not to be had by waiting, is kept from us by row security.
WHEN s.active AND s.expires_at <= {now_expires} AND s.held IS NOT TRUE
 AND s.product_id IN (SELECT i.{stock_product_id} FROM {inventory} i)
 THEN pg_catalog.concat('<sweeper counter>the counter of product ', s.product_id,
 ' can be seen and not changed: row security of table ', {inventory_text},
 ' stands in the way</sweeper>')::integer

--@ or_hidden

--@ noted if meddled
-- What sql/release_check.sql compares with: a setting of the transaction. The length, since the answer
-- has a row for each reservation.
(SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.released',
 pg_catalog.jsonb_build_object(
'rows', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT f.n), '[]') FROM flipped f),
 'counters', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
m.product_id::pg_catalog.text, m.available + m.units, m.reserved - m.units)), '[]')
 FROM moved m WHERE m.counters > 0))::pg_catalog.text, true)))

--@ noted
0

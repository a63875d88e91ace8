-- Releases a batch: ids in, an outcome for each out. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- Answer: one row for each asked id and each of its rows (one row for an id that has none); of two
--   spellings of one id, only for the first
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
-- * Rows are found again by their places, all in one scan (`rows_at`): a join would begin a scan for
--   each. What was found is compared by (x IN (SELECT ...)) IS TRUE, which is planned as a look-up in a
--   hash, whatever is known of the tables. A join of two CTEs may be planned as a loop in a loop, and an
--   IN alone as such a join.
-- * `picked` restates what makes a row releasable, so that a row which changed between the
--   statement's snapshot and its lock is judged by its newest version. When that is another place, it is
--   none of those that were seen, and its reservation is left for the next attempt: no version takes a
--   place that this snapshot can see. So what is flipped is what was seen, the quantity too. Today's
--   Postgres compares the place of the newer version again (the recheck of a TID scan) and drops it,
--   before anything else is asked of it: there no test can see that status and expiry are restated, nor
--   that places are compared. They are for a Postgres without that recheck, which judges the newer version
--   by what is restated.
-- * Units are those of the rows as they were locked. A trigger may make anything of a row.
-- * The explaining form: `adds_up`: what was to be changed was, row by row, and each counter once, by its
--   units. If not, the statement fails with a sentence, by a cast that cannot succeed (release.c reads
--   it): of the first row of the answer that may be at fault; alone, a reservation is. With triggers or
--   rules of the shop's, sql/release_check.sql looks again afterwards.
-- * The lean form: where nothing stands in the way (mapping_allows_lean), it is enough that nothing does by
--   now: as many rows were flipped as were taken, in no other table than this one; no row security, no
--   triggers, no fractions, no second counter, none that is NULL. Else it fails (a division by zero), and
--   is sent again in the explaining form, which is right for any tables.
WITH seen AS MATERIALIZED (
    SELECT a.n, r.*, {of_its_reservation}
), held AS MATERIALIZED (
    SELECT i.{stock_product_id} AS product_id{counters_before}
      FROM {inventory} i
     WHERE {stock_typed}
       AND i.{stock_product_id} = ANY (ARRAY(SELECT s.product_id FROM seen s
                                              WHERE s.active AND {due}))
     ORDER BY i.{stock_product_id}
       FOR NO KEY UPDATE OF i {skip_locked}
), wanted AS MATERIALIZED (
    SELECT s.part, s.place
      FROM seen s
     WHERE s.active AND {due}
       AND (s.product_id IN (SELECT h.product_id FROM held h)
            OR {no_counter})
), picked AS MATERIALIZED (
    SELECT r.tableoid AS part, r.ctid AS place
      FROM {reservations} r
     WHERE {rows_wanted}
       AND {releasable}
       FOR NO KEY UPDATE OF r SKIP LOCKED
), taken AS MATERIALIZED (
    {taken}
), flipped AS (
    UPDATE {reservations} r
       {set_released}
     {rows_taken}
), {the_rest}

-- ---- What was seen

--@ of_its_reservation if lean id_unique
-- A second row of an id fails the statement: see one_row_each.
r.active::int AS active_rows, r.row_expires_at AS expires_at
      FROM {asked} LEFT JOIN LATERAL ({rows_of_it}) r ON true

--@ of_its_reservation
pg_catalog.count(*) FILTER (WHERE r.active) OVER same AS active_rows, {latest_expires} AS expires_at
      FROM {asked} LEFT JOIN LATERAL ({rows_of_it}) r ON true
    WINDOW same AS (PARTITION BY a.n)

--@ rows_of_it
-- One look-up by key for each id: OFFSET 0 keeps the planner from joining, for which it would read all
-- of a table that was never analyzed.
SELECT r.tableoid AS part, r.ctid AS place, r.{product_id} AS product_id, r.{quantity} AS quantity,
                    r.{status} = {active} AS active, r.{expires_at} AS row_expires_at
               FROM {reservations} r
              WHERE {typed} AND r.{id} = a.id AND {few}
             OFFSET 0

--@ latest_expires if expires_nullable
-- NULL: one of its active rows never expires.
CASE WHEN pg_catalog.bool_and(r.row_expires_at IS NOT NULL) FILTER (WHERE r.active) OVER same
                THEN {latest} END

--@ latest_expires
{latest}

--@ latest
pg_catalog.max(r.row_expires_at) FILTER (WHERE r.active) OVER same

-- ---- Locks

--@ skip_locked if waiting

--@ skip_locked
SKIP LOCKED

--@ counters_before if lean

--@ counters_before
, i.{available_stock} AS available, i.{reserved_stock} AS reserved

--@ no_counter
-- Looked up by key: of a NOT EXISTS the planner may make a hash of all counters.
(SELECT true FROM {inventory} i WHERE i.{stock_product_id} = s.product_id LIMIT 1) IS NULL

-- ---- All rows of a reservation, or none

--@ rows_wanted if lean
{rows_at_one} (ARRAY(SELECT w.place FROM wanted w))

--@ rows_wanted
-- In partitions and children places repeat.
r.ctid = ANY (ARRAY(SELECT w.place FROM wanted w))
       AND ((r.tableoid, r.ctid) IN (SELECT w.part, w.place FROM wanted w)) IS TRUE

--@ rows_at_one
-- Nothing of a table that has become a child of this one since the catalog was read.
r.tableoid = {reservations_text}::pg_catalog.regclass AND r.ctid = ANY

--@ taken if lean id_unique
SELECT s.n, s.part, s.place, s.product_id, s.quantity
      FROM seen s
     WHERE (s.place IN (SELECT p.place FROM picked p)) IS TRUE

--@ taken
-- As many of its rows are locked as are active.
SELECT s.n, s.part, s.place, s.product_id, s.quantity
      FROM (SELECT s.*, pg_catalog.count(*) OVER (PARTITION BY s.n) AS locked_rows
              FROM seen s
             WHERE ((s.part, s.place) IN (SELECT p.part, p.place FROM picked p)) IS TRUE) s
     WHERE s.locked_rows = s.active_rows

--@ rows_taken if lean
WHERE {rows_at_one} (ARRAY(SELECT t.place FROM taken t))
    RETURNING 1

--@ rows_taken
-- A join, since it has to say which row it did not change.
FROM taken t
     WHERE r.tableoid = t.part AND r.ctid = t.place
    RETURNING t.n, t.part, t.place, t.product_id, t.quantity, r.{status} = {active} AS still_active

-- ---- The lean form

--@ the_rest if lean
stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM (SELECT product_id, pg_catalog.sum(quantity) AS units FROM taken GROUP BY product_id) m
     WHERE i.{stock_product_id} = m.product_id
    RETURNING m.product_id, {counter_known} AS known
)
SELECT s.n, extract(epoch FROM s.expires_at) AS expires_at,
       CASE WHEN s.active AND s.n IN (SELECT t.n FROM taken t) THEN s.quantity END AS units,
       CASE WHEN s.active AND (s.product_id IN (SELECT h.product_id FROM held h)) IS NOT TRUE
            THEN coalesce(s.product_id::pg_catalog.text, '') END AS unheld,
       s.place IS NOT NULL AS found, coalesce(s.active_rows, 0) AS active_rows, {due} AS due,
       1 / CASE WHEN s.active AND (s.quantity % 1 = 0) IS NOT TRUE
                  OR s.part <> {reservations_text}::pg_catalog.regclass
                  OR {one_row_each}
                  OR (SELECT pg_catalog.count(*) FROM taken) <> (SELECT pg_catalog.count(*) FROM flipped)
                  OR {meddled}
                  OR (SELECT pg_catalog.row_security_active({reservations_text})
                             OR pg_catalog.row_security_active({inventory_text})
                             OR pg_catalog.count(*)
                                <> pg_catalog.count(DISTINCT CASE WHEN c.known THEN c.product_id END)
                        FROM stocked c)
                THEN 0 ELSE 1 END AS adds_up,
       0 AS noted
  FROM seen s

--@ one_row_each if id_unique
-- The index that promised it may have been dropped.
(SELECT pg_catalog.count(*) <> pg_catalog.count(DISTINCT x.n) FROM seen x)

--@ one_row_each
false

-- ---- The explaining form

--@ the_rest
moved AS MATERIALIZED (
    SELECT b.product_id, pg_catalog.sum(b.quantity) AS units, pg_catalog.count(b.counter) AS counters,
           pg_catalog.min(b.available) AS available, pg_catalog.min(b.reserved) AS reserved
      FROM (SELECT f.product_id, 1 AS flipped, f.quantity, NULL AS counter, NULL AS available,
                   NULL AS reserved
              FROM flipped f
             UNION ALL
            SELECT h.product_id, NULL, NULL, 1, h.available, h.reserved
              FROM held h) b
     GROUP BY b.product_id
    HAVING pg_catalog.count(b.flipped) > 0
), stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM moved m
     WHERE i.{stock_product_id} = m.product_id AND m.counters > 0 AND m.units - m.units = 0
    RETURNING m.product_id, m.counters = 1 AND i.{available_stock} - m.available = m.units
                            AND m.reserved - i.{reserved_stock} = m.units AS adds_up
)
SELECT s.n, extract(epoch FROM s.expires_at) AS expires_at,
       CASE WHEN s.flipped THEN s.quantity END AS units,
       CASE WHEN s.active AND s.held IS NOT TRUE
            THEN coalesce(s.product_id::pg_catalog.text, '') END AS unheld,
       s.place IS NOT NULL AS found, s.active_rows, {due} AS due,
       CASE WHEN s.active AND (s.flipped AND NOT s.still_active AND s.quantity - s.quantity = 0) IS NOT TRUE
                 AND (SELECT pg_catalog.count(*) FROM taken)
                     <> (SELECT pg_catalog.count(*) FROM flipped f
                          WHERE NOT f.still_active AND f.quantity - f.quantity = 0)
            THEN pg_catalog.concat(
                     '<sweeper row>a row of product ', coalesce(s.product_id::pg_catalog.text, 'NULL'),
                     CASE WHEN NOT s.flipped THEN ' was not changed by the release'
                          WHEN s.still_active THEN ' is active after the release'
                          ELSE pg_catalog.concat(' cannot be given back, with the quantity ',
                                       coalesce(s.quantity::pg_catalog.text, 'NULL')) END,
                     ': a trigger, a rule, row security or a column of table ',
                     {reservations_text}, ' stands in the way</sweeper>')::integer
            WHEN s.flipped AND s.held AND s.adds_up IS NOT TRUE
            THEN pg_catalog.concat(
                     '<sweeper counter>the counter of product ', s.product_id,
                     ' was not changed, once and by exactly its units: row security, a trigger, a'
                     ' rule or the type of a column of table ', {inventory_text},
                     ', or a second row of the product, stands in the way</sweeper>')::integer
            WHEN s.flipped AND s.product_id IS NOT NULL AND s.held IS NOT TRUE
                 AND pg_catalog.row_security_active({inventory_text})
            THEN pg_catalog.concat(
                     '<sweeper counter>the counter of product ', s.product_id,
                     ' cannot be seen: row security of table ', {inventory_text},
                     ' is in force for this role</sweeper>')::integer
            WHEN {meddled}
            THEN pg_catalog.concat('<sweeper tables>the triggers of the tables have changed</sweeper>',
                                   s.n - s.n)::integer
            {or_hidden}
             END AS adds_up,
       {noted} AS noted
  FROM (SELECT s.*, s.product_id IN (SELECT h.product_id FROM held h) AS held,
               s.product_id IN (SELECT c.product_id FROM stocked c
                                 GROUP BY c.product_id
                                HAVING pg_catalog.count(*) = 1
                                   AND pg_catalog.bool_and(c.adds_up)) AS adds_up,
               ((s.part, s.place) IN (SELECT f.part, f.place FROM flipped f)) IS TRUE AS flipped,
               ((s.part, s.place) IN (SELECT f.part, f.place FROM flipped f
                                       WHERE f.still_active IS NOT FALSE)) IS TRUE AS still_active
          FROM seen s
        OFFSET 0) s

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

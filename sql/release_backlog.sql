-- Releases a part of a backlog that was read from Postgres, by the places of its rows, passing by
-- rows that somebody else has locked and waiting for counters up to lock_timeout each. One transaction,
-- READ COMMITTED.
--
-- $1  the ids, an array in text form: no id twice
-- $2  lock_timeout
-- $3  the same, while it waits for another release to end
-- $4  where all rows of these ids lie that were seen, an array of tid in text form, in any order
-- Answer: a row with n = 0, and one for each id or product that there is something to say of
--   n            position of the id in $1, from 1
--   units        n = 0: of all that was released, NULL when nothing was
--   unheld       the product ("" for none) of a row that was released, when it has no counter; else NULL:
--                the reservation was not released
--   adds_up      of no interest
-- What is not named was released.
--
-- Why it is written so (docs/design/release-statement.md):
-- * Rows are taken by their places (ctid), which is one scan of the table's pages in their order, with no
--   index. A place says nothing of what lies there by now: status and expiry are asked of the row
--   itself, and that it is of one of the ids. What has moved is left to the other ways.
-- * SKIP LOCKED: other sweepers may be at the same rows, in another order, and one row that somebody
--   keeps locked must not keep thousands.
-- * `others`: what else the ids have by the snapshot that is active: rows that were not seen, are
--   locked, not due, or have moved; of a table that has become a child of this one, too, where
--   another row may lie at the same place. An id that has more of them than were locked here is left whole.
--   One look-up by key for each, and by nothing else: with its conditions inside, the planner may read
--   an index of all active rows for each of thousands.
-- * The counters come last, one release at a time, the most wanted ones last of all: as in
--   sql/release_bulk.sql, which says why.
-- * What only sql/release.sql can check fails the statement (a division by zero): triggers or row
--   security, two counters of a product or one that is NULL, fractions, which an integer would round.
-- * Whatever fails, and what the answer says was not released, is judged by sql/release.sql.
WITH locked AS MATERIALIZED (
    SELECT r.ctid AS place, r.{id} AS id
      FROM {reservations} r
     WHERE {typed} AND r.ctid = ANY (ARRAY(SELECT pg_catalog.unnest($4::pg_catalog.tid[])))
       AND r.tableoid = {reservations_text}::pg_catalog.regclass
       AND {releasable}
       AND r.{quantity} IS NOT NULL
       AND (r.{id} IN (SELECT pg_catalog.unnest($1::{id_type}[]))) IS TRUE
       FOR NO KEY UPDATE OF r SKIP LOCKED
), known AS MATERIALIZED (
    SELECT l.place, l.id,
           (SELECT pg_catalog.count(*)
              FROM (SELECT o.{status} AS status, o.ctid AS place, o.tableoid AS part
                      FROM {reservations} o
                     WHERE o.{id} = l.id
                    OFFSET 0) o
             WHERE o.status = {active}
               AND (o.place <> l.place OR o.part <> {reservations_text}::pg_catalog.regclass)) AS others
      FROM locked l
), partly AS MATERIALIZED (
    SELECT k.id
      FROM known k
     WHERE k.others > 0
     GROUP BY k.id
    HAVING pg_catalog.count(*) <> pg_catalog.max(k.others) + 1
), flipped AS (
    UPDATE {reservations} r
       {set_released}
     WHERE r.ctid = ANY (ARRAY(SELECT k.place FROM known k
                                WHERE k.others = 0 OR (k.id IN (SELECT p.id FROM partly p)) IS NOT TRUE))
       AND r.tableoid = {reservations_text}::pg_catalog.regclass
    RETURNING r.{id} AS id, r.{product_id} AS product_id, r.{quantity} AS quantity
), alone AS MATERIALIZED (
    SELECT {alone_among_releases}
      FROM (SELECT pg_catalog.count(*) FROM flipped) all_of_it
), stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM {units_in_turn}
     WHERE {stock_typed} AND i.{stock_product_id} = m.product_id
    RETURNING i.{stock_product_id} AS product_id,
              {counter_known}
                  AS known
), asked AS MATERIALIZED (
    SELECT a.id, a.n FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
)
SELECT 0 AS n, (SELECT pg_catalog.sum(f.quantity) FROM flipped f) AS units,
       NULL::pg_catalog.text AS unheld,
       1 / CASE WHEN EXISTS (SELECT FROM flipped f WHERE f.quantity % 1 <> 0)
                  OR {counters_in_doubt}
                  OR pg_catalog.row_security_active({reservations_text})
                  OR pg_catalog.row_security_active({inventory_text})
                  OR {meddled}
                THEN 0 ELSE 1 END AS adds_up
 UNION ALL
SELECT a.n, NULL, NULL, NULL
  FROM asked a
 WHERE (a.id IN (SELECT f.id FROM flipped f)) IS NOT TRUE
 UNION ALL
SELECT a.n, NULL, coalesce(f.product_id::pg_catalog.text, ''), NULL
  FROM flipped f
  JOIN asked a ON a.id = f.id
 WHERE (f.product_id IN (SELECT s.product_id FROM stocked s)) IS NOT TRUE

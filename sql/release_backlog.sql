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
--   unheld       the key ("" for none) of a row that was released, when it has no counter; else NULL:
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
--   So does a row that is still active. What is given back is what RETURNING says: so `released` sets
--   nothing that this reads (mapping_allows_backlog).
-- * Whatever fails, and what the answer says was not released, is judged by sql/release.sql.
WITH rs$locked AS MATERIALIZED (
    SELECT r.ctid AS rs$place, r.{id} AS rs$id
      FROM {reservations} r
     WHERE {typed} AND r.ctid = ANY (ARRAY(SELECT pg_catalog.unnest($4::pg_catalog.tid[])))
       AND r.tableoid = {reservations_text}::pg_catalog.regclass
       AND {releasable}
       AND {quantity} IS NOT NULL
       AND (r.{id} IN (SELECT pg_catalog.unnest($1::{id_type}[]))) IS TRUE
       FOR NO KEY UPDATE OF r SKIP LOCKED
), rs$known AS MATERIALIZED (
    SELECT l.rs$place, l.rs$id,
           (SELECT pg_catalog.count(*)
              FROM (SELECT {active} AS rs$active, r.ctid AS rs$place, r.tableoid AS rs$part
                      FROM {reservations} r
                     WHERE r.{id} = l.rs$id
                    OFFSET 0) o
             WHERE o.rs$active
               AND (o.rs$place <> l.rs$place
                    OR o.rs$part <> {reservations_text}::pg_catalog.regclass)) AS rs$others
      FROM rs$locked l
), rs$partly AS MATERIALIZED (
    SELECT k.rs$id
      FROM rs$known k
     WHERE k.rs$others > 0
     GROUP BY k.rs$id
    HAVING pg_catalog.count(*) <> pg_catalog.max(k.rs$others) + 1
), rs$flipped AS (
    UPDATE {reservations} r
       SET {released}
     WHERE r.ctid = ANY (ARRAY(SELECT k.rs$place FROM rs$known k
                                WHERE k.rs$others = 0
                                   OR (k.rs$id IN (SELECT p.rs$id FROM rs$partly p)) IS NOT TRUE))
       AND r.tableoid = {reservations_text}::pg_catalog.regclass
    RETURNING r.{id} AS rs$id, {hold_keys}, {quantity} AS rs$units, {active} IS TRUE AS rs$still_active
), rs$alone AS MATERIALIZED (
    SELECT {alone_among_releases}
      FROM (SELECT pg_catalog.count(*) FROM rs$flipped) all_of_it
), rs$stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM {units_in_turn}
     WHERE {i_is_m}
    RETURNING {counter_keys},
              {counter_known}
                  AS rs$known
), rs$asked AS MATERIALIZED (
    SELECT a.rs$id, a.rs$n FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (rs$id, rs$n)
)
SELECT 0 AS n, (SELECT pg_catalog.sum(f.rs$units) FROM rs$flipped f) AS units,
       NULL::pg_catalog.text AS unheld,
       1 / CASE WHEN EXISTS (SELECT FROM rs$flipped f WHERE f.rs$units % 1 <> 0 OR f.rs$still_active)
                  OR {counters_in_doubt}
                  OR pg_catalog.row_security_active({reservations_text})
                  OR pg_catalog.row_security_active({inventory_text})
                  OR {meddled}
                THEN 0 ELSE 1 END AS adds_up
 UNION ALL
SELECT a.rs$n, NULL, NULL, NULL
  FROM rs$asked a
 WHERE (a.rs$id IN (SELECT f.rs$id FROM rs$flipped f)) IS NOT TRUE
 UNION ALL
SELECT a.rs$n, NULL, coalesce({f_key_text}, ''), NULL
  FROM rs$flipped f
  JOIN rs$asked a ON a.rs$id = f.rs$id
 WHERE (({f_k}) IN (SELECT {s_k} FROM rs$stocked s)) IS NOT TRUE

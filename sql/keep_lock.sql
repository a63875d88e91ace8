-- Before sql/release.sql, in its transaction, where reservations may be kept (keep_while): locks the rows
-- that are to be judged, so that the release, whose snapshot is later, sees what had been committed before.
--
-- $1  the ids, an array in text form
-- $2  where kept ones are extended: of each since when it has been kept, and $3 when it was due as it was
--     left then, both in milliseconds since the epoch; 0: nothing is known
-- Answer: of no interest
--
-- Why a statement of its own, and FOR UPDATE (docs/design/keep.md):
-- * A statement that locks and judges at once judges by a snapshot from before its locks: a payment that
--   was committed in between would be overlooked.
-- * Who inserts a row with a foreign key to the hold has it locked FOR KEY SHARE until the commit. FOR
--   UPDATE alone is passed by then: FOR NO KEY UPDATE would get the lock, and see no payment.
-- * What a look without a lock finds to be kept is not locked: a payment in flight need not wait for us.
-- * The places of the rows that are ours are noted in a setting of the transaction. A row that somebody
--   else had locked, and has let go since, is none of them: it is left for the next attempt.
WITH rs$seen AS MATERIALIZED (
    SELECT {since_of_a} r.*, coalesce(pg_catalog.bool_or(r.rs$keep) OVER same, false) AS rs$kept,
           {latest_expires} AS rs$expires
      FROM {asked_with_since} CROSS JOIN LATERAL (
        SELECT r.tableoid AS rs$part, r.ctid AS rs$place, {active} AS rs$active, {row_expires} AS rs$row_expires
               {and_keep_of_r}
          FROM {reservations} r
         WHERE {typed} AND r.{id} = a.rs$id AND {few}
        OFFSET 0) r
    WINDOW same AS (PARTITION BY a.rs$n)
), rs$wanted AS MATERIALIZED (
    SELECT s.rs$part, s.rs$place FROM rs$seen s WHERE s.rs$active AND {due} AND NOT {kept}
), rs$locked AS MATERIALIZED (
    SELECT r.tableoid AS rs$part, r.ctid AS rs$place
      FROM {reservations} r
     WHERE r.ctid = ANY (ARRAY(SELECT w.rs$place FROM rs$wanted w))
       AND ((r.tableoid, r.ctid) IN (SELECT w.rs$part, w.rs$place FROM rs$wanted w)) IS TRUE
       AND {releasable}
       FOR UPDATE OF r SKIP LOCKED
)
SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.locked', pg_catalog.json_build_object(
           'parts', coalesce(pg_catalog.json_agg(l.rs$part::bigint), '[]'),
           'places', coalesce(pg_catalog.json_agg(l.rs$place), '[]'))::pg_catalog.text, true))
  FROM rs$locked l

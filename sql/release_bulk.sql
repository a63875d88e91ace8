-- Releases what it can of a backlog's batch in one go, waiting for rows and counters that somebody
-- holds, up to lock_timeout each. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- $2  lock_timeout
-- $3  the same, while it waits for another release to end
-- Answer: one row for each row that was released; of other ids it says nothing
--   n            position of the id in $1, from 1; of two spellings of one id, that of the first
--   due_at       when the latest of the reservation's active rows is due, in seconds since the epoch
--   units        the row's units
--   unheld       the row's key ("" for none), when it has no counter
--
-- Why it is written so (docs/design/release-statement.md):
-- * The counters come last, so that they are held for a moment only; and last among them those that
--   most of the batch wants, since checkouts want them too, and whoever waits for one that a checkout has
--   locked keeps all that came before.
-- * `alone`: one release at a time changes counters. Nearly any two batches have a counter in common,
--   so that they would wait for each other anyway, but maybe in a circle: an UPDATE locks in whatever
--   order its plan reads. Locking the counters in order before would cost an eighth of the whole.
--   It waits longer for another release than for a checkout: it holds no counter meanwhile, and the
--   API's triggers may make that release slow. The other ways wait before they begin (alone_sql in
--   src/release/release.c).
-- * Where an id has one row, the rows are changed by their ids, in one go. Else they are looked at first
--   (`seen`), for what else is active of the same ids, and then changed by their places, all in one scan
--   of the table: a join would begin a scan for each, which asks for the table's length.
-- * A reservation is due when the latest of its active rows is; one that was flipped in part,
--   since another of its rows changed meanwhile, fails the statement (`wrong`, a division by zero).
-- * So does what only sql/release.sql can check, since it knows the counters from before: triggers,
--   rules or row security, two counters of a product or one that is NULL, fractions, which an
--   integer would round.
-- * A row that changed between the snapshot and its lock is judged by its newest version: what
--   makes it releasable is stated of r itself. Where the plan reads r by its place, today's
--   Postgres drops a newer version for lying elsewhere, and these conditions are not asked
--   (sql/release.sql says more); elsewhere they decide. What is given back is what was flipped, by
--   what RETURNING says: so `released` sets nothing that this reads (mapping_allows_bulk).
-- * Whatever fails, and whatever the answer does not name, is judged by sql/release.sql.
WITH {rows_flipped}, rs$alone AS MATERIALIZED (
    SELECT 1 / CASE WHEN f.rs$still_active OR {wrong} THEN 0 ELSE 1 END AS right,
           {alone_among_releases}
      FROM (SELECT pg_catalog.count(*) AS rs$rows, pg_catalog.sum(rs$units) AS rs$units,
                   pg_catalog.bool_or(rs$still_active) AS rs$still_active
              FROM rs$flipped) f
), rs$stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM {units_in_turn}
     WHERE {i_is_m}
    RETURNING {counter_keys}, m.rs$units % 1 = 0 AND {counter_known} AS rs$known
)
SELECT s.rs$n AS n, {latest_due} AS due_at, s.rs$units AS units,
       CASE WHEN (({s_k}) IN (SELECT {c_k} FROM rs$stocked c)) IS NOT TRUE
            THEN coalesce({s_key_text}, '') END AS unheld,
       1 / CASE WHEN {counters_in_doubt}
                  OR pg_catalog.row_security_active({inventory_text})
                  OR {meddled}
                THEN 0 ELSE 1 END AS adds_up
  FROM rs$gone s

-- ---- An id has one row

--@ rows_flipped if id_unique
rs$flipped AS (
    UPDATE {reservations} r
       SET {released}
     WHERE {typed} AND r.{id} = ANY ($1::{id_type}[])
       AND {releasable} AND {quantity} IS NOT NULL
    RETURNING r.{id} AS rs$id, {row_expires} AS rs$expires, {hold_keys},
              {quantity} AS rs$units, {active} IS TRUE AS rs$still_active
), rs$gone AS MATERIALIZED (
    SELECT a.rs$n, f.rs$expires, {f_k}, f.rs$units
      FROM rs$flipped f
      JOIN {asked} ON a.rs$id = f.rs$id
)

--@ wrong if id_unique
{several_by_now}

-- ---- The rows lie in several tables, where places repeat

--@ rows_flipped if divided
{seen}, rs$flipped AS (
    UPDATE {reservations} r
       SET {released}
      FROM rs$seen s
     WHERE {due} AND r.tableoid = s.rs$part AND r.ctid = s.rs$place AND {releasable}
       AND {quantity} = s.rs$units AND {hold_key} IS NOT DISTINCT FROM {s_k}
    RETURNING s.rs$n, s.rs$active_rows, s.rs$expires, {s_k}, s.rs$units, {active} IS TRUE AS rs$still_active
), rs$gone AS MATERIALIZED (
    SELECT f.rs$n, f.rs$expires, {f_k}, f.rs$units FROM rs$flipped f
)

--@ wrong if divided
EXISTS (SELECT FROM rs$flipped p WHERE p.rs$active_rows > 1
         GROUP BY p.rs$n, p.rs$active_rows HAVING pg_catalog.count(*) <> p.rs$active_rows)

-- ---- All else

--@ rows_flipped
{seen}, rs$flipped AS (
    UPDATE {reservations} r
       SET {released}
     WHERE r.ctid = ANY (ARRAY(SELECT s.rs$place FROM rs$seen s WHERE {due}))
       AND r.tableoid = {reservations_text}::pg_catalog.regclass
       AND {releasable} AND {quantity} IS NOT NULL
    RETURNING r.{id} AS rs$id, {hold_keys}, {quantity} AS rs$units, {active} IS TRUE AS rs$still_active
), rs$gone AS MATERIALIZED (
    SELECT s.rs$n, s.rs$expires, {s_k}, s.rs$units
      FROM rs$seen s
     WHERE (s.rs$id IN (SELECT f.rs$id FROM rs$flipped f)) IS TRUE
)

--@ wrong
-- All that was seen of what was flipped was flipped, and as it was seen.
(SELECT pg_catalog.count(*) <> f.rs$rows OR pg_catalog.sum(g.rs$units) <> f.rs$units FROM rs$gone g)

-- ---- Parts of these

--@ seen
rs$seen AS MATERIALIZED (
    SELECT a.rs$n, a.rs$id, r.tableoid AS rs$part, r.ctid AS rs$place, {hold_keys},
           {quantity} AS rs$units, pg_catalog.count(*) OVER same AS rs$active_rows,
           {latest_of_active} AS rs$expires
      FROM {asked}
      JOIN {reservations} r ON {typed} AND r.{id} = a.rs$id AND {active}
    WINDOW same AS (PARTITION BY a.rs$n)
)

--@ latest_of_active if expires_nullable
-- NULL: one of them never expires. All rows that are seen are active.
CASE WHEN pg_catalog.bool_and(r.{expires_at} IS NOT NULL) OVER same
 THEN {latest} END

--@ latest_of_active
{latest}

--@ latest
pg_catalog.max({row_expires}) OVER same

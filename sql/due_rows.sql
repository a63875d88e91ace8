-- A page of active reservations by expiry, in one forward pass, and Postgres's clock.
--
-- All times are those at which a reservation is due, in microseconds since the epoch.
--
-- $1  look at rows that are due at or after this; NULL: all
-- $2  ... and at or before now() + this, microseconds
-- $3, $4  only what comes after this time and id: the end of the last page
-- $5  at most so many rows
-- $6  whether to say where they lie
-- Answer: id, expires_us, clock_us, place; a row with a NULL id when there is none.
--
-- {and_not_endless}, where the column allows NULL: an id with an active row without an expiry is
-- never due, so nobody need look at its others.
--
-- {fence} is OFFSET 0 for a first page. It keeps the planner from walking an index on expires_at
-- through all the history to serve ORDER BY ... LIMIT: it would trust that active rows are spread
-- evenly over time, and they are all at the end (docs/design/release-statement.md).
-- Later pages begin where the last one ended, so there that walk is the shortest way.
SELECT p.rs$id::pg_catalog.text, {p_due_us} AS expires_us,
       (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint AS clock_us,
       CASE WHEN $6::boolean THEN p.rs$place END AS place
  FROM (SELECT 1) AS always
  LEFT JOIN (
    SELECT d.rs$id, d.rs$at, d.rs$place
      FROM (SELECT r.{id} AS rs$id, {row_at} AS rs$at, r.ctid AS rs$place
              FROM {reservations} r
             WHERE {typed}
               AND {active}
               AND {row_from_1_or_all}
               AND {row_by_now_and_2}
               {and_row_counts}
            {fence}) d
     WHERE ($4::{id_type} IS NULL OR (d.rs$at, d.rs$id) > ({at_3}, $4::{id_type}))
       {and_not_endless}
     ORDER BY d.rs$at, d.rs$id
     LIMIT $5::int
  ) p ON true

--@ fence if next_page

--@ fence
OFFSET 0

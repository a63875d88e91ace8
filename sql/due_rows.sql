-- A page of active reservations by expiry, in one forward pass, and Postgres's clock.
--
-- $1  look at rows that expire at or after this, microseconds since the epoch; NULL: all
-- $2  ... and at or before now() + this, microseconds
-- $3, $4  only what comes after this expiry (microseconds) and id: the end of the last page
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
SELECT p.id::pg_catalog.text, (extract(epoch FROM greatest(p.expires_at, {epoch_expires})) * 1000000)::bigint
           AS expires_us,
       (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint AS clock_us,
       CASE WHEN $6::boolean THEN p.place END AS place
  FROM (SELECT 1) AS always
  LEFT JOIN (
    SELECT d.id, d.expires_at, d.place
      FROM (SELECT r.{id} AS id, r.{expires_at} AS expires_at, r.ctid AS place
              FROM {reservations} r
             WHERE {typed}
               AND r.{status} = {active}
               AND r.{expires_at} >= coalesce({epoch_expires} + $1::bigint * interval '1 microsecond',
                                              '-infinity')
               AND r.{expires_at} OPERATOR(pg_catalog.<=) {now_expires} + $2::bigint * interval '1 microsecond'
               {and_not_endless}
            {fence}) d
     WHERE $4::{id_type} IS NULL
        OR (d.expires_at, d.id) > ({epoch_expires} + $3::bigint * interval '1 microsecond',
                                   $4::{id_type})
     ORDER BY d.expires_at, d.id
     LIMIT $5::int
  ) p ON true

--@ fence if next_page

--@ fence
OFFSET 0

-- What Postgres says of some reservations, all rows of an id together.
--
-- $1  the ids, an array in text form
-- Answer: for each, its position in $1 from 1, how many rows, how many of them active, when the latest of
--   those is due, in seconds since the epoch (NULL: one of them has no expiry: it is never due), whether
--   it is due and kept
--
-- One look-up by key for each id: the planner must not read the table for a few thousand of them.
SELECT a.rs$n, p.rs$found, p.rs$active, {p_due_s}, {p_kept}
  FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (rs$id, rs$n)
 CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS rs$found,
           pg_catalog.count(*) FILTER (WHERE {active}) AS rs$active,
           CASE WHEN pg_catalog.bool_and({row_has_end}) FILTER (WHERE {active})
                THEN pg_catalog.max({row_at}) FILTER (WHERE {active}) END AS rs$at{and_kept}
      FROM {reservations} r
     WHERE {typed} AND r.{id} = a.rs$id
    OFFSET 0) p

--@ and_kept if keeps
, coalesce(pg_catalog.bool_or(CASE WHEN {releasable} THEN {keep_while} IS TRUE END), false) AS rs$kept

--@ and_kept

--@ p_kept if keeps
(SELECT {kept} FROM (SELECT p.rs$kept, p.rs$at AS rs$expires) s)

--@ p_kept
false

--@ since_us
-- Nobody has asked Redis.
{due_us}

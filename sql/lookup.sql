-- What Postgres says of some reservations, all rows of an id together.
--
-- $1  the ids, an array in text form
-- Answer: for each, its position in $1 from 1, how many rows, how many of them active, the latest
--   expires_at of those in seconds since the epoch (NULL: one of them has none, and never expires)
--
-- One look-up by key for each id: the planner must not read the table for a few thousand of them.
SELECT a.n, v.found, v.active, v.expires_at
  FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
 CROSS JOIN LATERAL (
    SELECT pg_catalog.count(*) AS found,
           pg_catalog.count(*) FILTER (WHERE r.{status} = {active}) AS active,
           CASE WHEN pg_catalog.bool_and(r.{expires_at} IS NOT NULL)
                         FILTER (WHERE r.{status} = {active})
                THEN extract(epoch FROM pg_catalog.max(r.{expires_at})
                                        FILTER (WHERE r.{status} = {active})) END AS expires_at
      FROM {reservations} r
     WHERE {typed} AND r.{id} = a.id
    OFFSET 0) v

-- Which products some reservations are of: asked when Postgres has refused one of them.
--
-- $1  the ids, an array in text form
-- Answer: for each active row's key, the position of the id in $1 from 1, and the key as a text; no row
--   where there are no counters
--
-- One look-up by key for each id, and by nothing else: with its conditions inside, the planner might
-- read an index of all active rows for each of a few hundred ids.
SELECT DISTINCT a.rs$n, {key} AS product
  FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (rs$id, rs$n)
 CROSS JOIN LATERAL (
    SELECT {keys_of_r} {active} AS rs$active
      FROM {reservations} r
     WHERE {typed} AND r.{id} = a.rs$id
    OFFSET 0) v
 WHERE v.rs$active AND {key} IS NOT NULL

--@ key if counters
{v_key_text}

--@ key
NULL::pg_catalog.text

-- What --explain shows of the holds of one reservation.
--
-- $1  the id, the one element of an array in text form
-- $2  names of columns, an array in text form
-- Answer: a row for each hold, those that are active first, 20 at most: Postgres's clock, in microseconds since
--   the epoch; whether it is active, and ends; when it is due, in seconds since the epoch; whether
--   keep_while holds; when it was changed, in seconds since the epoch; its expiry, its units and its key as
--   texts; those columns, as JSON. NULL: there is no such thing.
SELECT {now_us}, p.rs$active IS TRUE, p.rs$ends, {p_due_s}, p.rs$keep, p.rs$changed, p.rs$expires, p.rs$units,
       {key}, p.rs$values
  FROM (SELECT {active} AS rs$active, {row_has_end} AS rs$ends, {row_expires} AS rs$at, {keep} AS rs$keep,
               {changed} AS rs$changed, r.{expires_at}::pg_catalog.text AS rs$expires,
               ({quantity})::pg_catalog.text AS rs$units, {keys_of_r}
               (SELECT pg_catalog.jsonb_object_agg(e.key, e.value)::pg_catalog.text
                  FROM pg_catalog.jsonb_each(pg_catalog.to_jsonb(r.*)) e
                 WHERE e.key = ANY ($2::pg_catalog.text[])) AS rs$values
          FROM {reservations} r
         WHERE {typed} AND r.{id} = ANY ($1::{id_type}[])
        OFFSET 0) p
 ORDER BY p.rs$active IS NOT TRUE, p.rs$at
 LIMIT 20

--@ keep if keeps
CASE WHEN {active} THEN {keep_while} IS TRUE END

--@ keep
NULL::boolean

--@ changed if dated
extract(epoch FROM r.{updated_at})

--@ changed
NULL::numeric

--@ key if counters
{p_key_text}

--@ key
NULL::pg_catalog.text

-- The same counters beside the holds that they count, where they say what is held.
--
-- $1  the id, the one element of an array in text form
-- Answer: a row for each counter: its key; the sum of those holds; whether it is as they say, with one counter
--   of its key, whose sum is a number, and the free and held ones the total (NULL: row security may hide some)
{sums_of_it}

--@ sums_of_it if counters held
WITH rs$page AS MATERIALIZED (
    SELECT {c_k}, pg_catalog.sum(c.rs$free) AS rs$free, pg_catalog.sum(c.rs$held) AS rs$held,
           pg_catalog.sum(c.rs$total) AS rs$total, pg_catalog.count(*) AS rs$counters
      FROM (SELECT {counter_keys}, {free_of_i} AS rs$free, i.{held} AS rs$held, {total} AS rs$total
              FROM {inventory} i) c
     WHERE ({c_k}) IN (SELECT {v_k}
                         FROM (SELECT {hold_keys}, {active} AS rs$active
                                 FROM {reservations} r
                                WHERE {typed} AND r.{id} = ANY ($1::{id_type}[])
                               OFFSET 0) v
                        WHERE v.rs$active)
     GROUP BY {c_k}
     LIMIT 8
), rs$sums AS MATERIALIZED (
    SELECT {u_k}, pg_catalog.sum(u.rs$units) AS rs$units, pg_catalog.bool_and(u.rs$known) AS rs$known
      FROM ({sums}) u
     GROUP BY {u_k}
)
SELECT {p_key_text}, coalesce(s.rs$units, 0)::pg_catalog.text,
       CASE WHEN NOT {hidden}
            THEN (p.rs$held = coalesce(s.rs$units, 0) AND coalesce(s.rs$known, true) AND p.rs$counters = 1
                  {and_total}) IS TRUE END
  FROM rs$page p
  LEFT JOIN rs$sums s ON ({s_k}) = ({p_k})

--@ sums_of_it

--@ and_total if free total
AND p.rs$free + p.rs$held = p.rs$total

--@ and_total

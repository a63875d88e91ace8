-- What --explain shows of the counters of one reservation's active holds.
--
-- $1  the id, the one element of an array in text form
-- Answer: a row for each counter, one for a key without one, 8 at most: its key; whether there is one; what is
--   free, held and in total (NULL: no such column); whether it holds less than the reservation does
{counters}

--@ counters if counters
SELECT {m_key_text}, i.tableoid IS NOT NULL, ({free_of_i})::pg_catalog.text, ({held_of_i})::pg_catalog.text,
       ({total})::pg_catalog.text, ({held_of_i}) < m.rs$units
  FROM (SELECT {v_k}, pg_catalog.sum(v.rs$units) AS rs$units
          FROM (SELECT {hold_keys}, {quantity} AS rs$units, {active} AS rs$active
                  FROM {reservations} r
                 WHERE {typed} AND r.{id} = ANY ($1::{id_type}[])
                OFFSET 0) v
         WHERE v.rs$active
         GROUP BY {v_k}
         LIMIT 8) m
  LEFT JOIN {inventory} i ON {i_is_m}

--@ counters

--@ held_of_i if held
i.{held}

--@ held_of_i
NULL::bigint

-- The oldest reservations that should have been released by now: what readiness looks at.
--
-- $1  due at least so many microseconds ago
-- $2  at most so many rows
-- Answer: id, when it was due, in microseconds since the epoch, one of its keys (products)
--
-- A reservation is due when the latest of its active rows is: looked up by key, and by nothing else (see
-- due_first.sql), for the few rows that have expired. {and_not_endless}, OFFSET 0: see due_rows.sql; the latter also keeps a join from
-- being planned here.
SELECT p.rs$id::pg_catalog.text, {p_due_us}, {p_key}
  FROM (SELECT d.rs$id, pg_catalog.max(d.rs$at) AS rs$at
          FROM (SELECT r.{id} AS rs$id, {row_at} AS rs$at
                  FROM {reservations} r
                 WHERE {typed}
                   AND {active}
                   AND {row_by_now_less_1}
                   {and_row_counts}
                OFFSET 0) d
         WHERE true
           {and_not_endless}
         GROUP BY d.rs$id
         ORDER BY 2
         LIMIT $2::int) l
 CROSS JOIN LATERAL (
    SELECT l.rs$id, pg_catalog.max(x.rs$at) AS rs$at{key_of_x}
      FROM (SELECT {active} AS rs$active, {row_at} AS rs$at{comma_hold_keys}
              FROM {reservations} r
             WHERE r.{id} = l.rs$id
            OFFSET 0) x
     WHERE x.rs$active
    OFFSET 0) p
 WHERE p.rs$at OPERATOR(pg_catalog.<=) {now_less_1}
 ORDER BY 2

--@ key_of_x if counters
, pg_catalog.min({x_key_text}) AS rs$key

--@ key_of_x

--@ p_key if counters
p.rs$key

--@ p_key
NULL::pg_catalog.text

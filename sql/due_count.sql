-- How many reservations are due (for a dry run), and their units, all rows of one id being one
-- reservation that is due when its latest active row is. A row without an expiry never expires.
-- Answer: how many, and their units; how many more are kept
SELECT pg_catalog.count(*) {unless_kept}, coalesce(pg_catalog.sum(s.rs$units) {unless_kept}, 0)::pg_catalog.text,
       {kept_count}
  FROM (SELECT pg_catalog.sum({quantity}) AS rs$units{and_kept}
          FROM {reservations} r
         WHERE {typed}
           AND {active}
           {and_has_id}
         GROUP BY r.{id}
        HAVING pg_catalog.max({row_at}) OPERATOR(pg_catalog.<=) {now_at}
           AND pg_catalog.bool_and({row_has_end})) s

--@ unless_kept if keeps
FILTER (WHERE NOT {kept})

--@ unless_kept

--@ kept_count if keeps
pg_catalog.count(*) FILTER (WHERE {kept})

--@ kept_count
0::bigint

--@ and_kept if keeps
, coalesce(pg_catalog.bool_or({keep_while} IS TRUE), false) AS rs$kept,
               pg_catalog.max({row_at}) AS rs$expires

--@ and_kept

--@ since_us
-- Nobody has asked Redis.
{due_us}

--@ and_has_id if id_nullable
AND r.{id} IS NOT NULL

--@ and_has_id

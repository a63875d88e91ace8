-- How many reservations are due (for a dry run), and their units, all rows of one id being one
-- reservation that is due when its latest active row is. A row without an expiry never expires.
SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(d.rs$units), 0)::pg_catalog.text
  FROM (SELECT pg_catalog.sum({quantity}) AS rs$units
          FROM {reservations} r
         WHERE {typed}
           AND {active}
           {and_has_id}
         GROUP BY r.{id}
        HAVING pg_catalog.max({row_at}) OPERATOR(pg_catalog.<=) {now_at}
           AND pg_catalog.bool_and({row_has_end})) d

--@ and_has_id if id_nullable
AND r.{id} IS NOT NULL

--@ and_has_id

-- How many reservations have expired and are still active (for a dry run), all rows of one id
-- being one reservation that is due when its latest active row is. A row without an expiry never
-- expires.
SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(d.units), 0)::pg_catalog.text
  FROM (SELECT pg_catalog.sum(r.{quantity}) AS units
          FROM {reservations} r
         WHERE {typed} AND r.{status} = {active}
         GROUP BY r.{id}
        HAVING pg_catalog.max(r.{expires_at}) OPERATOR(pg_catalog.<=) {now_expires}
           AND pg_catalog.bool_and(r.{expires_at} IS NOT NULL)) d

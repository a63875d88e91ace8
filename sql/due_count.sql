-- How many reservations have expired and are still active (for a dry run), all rows of one id
-- being one reservation that is due when its latest active row is.
SELECT pg_catalog.count(*), coalesce(pg_catalog.sum(d.units), 0)::bigint
  FROM (SELECT pg_catalog.sum(r.{quantity}) AS units
          FROM {reservations} r
         WHERE {typed} AND r.{status} = {active}
         GROUP BY r.{id}
        HAVING pg_catalog.max(r.{expires_at}) <= {now_expires}) d

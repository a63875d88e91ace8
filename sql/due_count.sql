-- How many reservations have expired and are still active (for a dry run), all rows of one id
-- being one reservation that is due when its latest active row is.
SELECT count(*), coalesce(sum(d.units), 0)::bigint
  FROM (SELECT sum(r.{quantity}) AS units
          FROM {reservations} r
         WHERE r.{status} = {active}
         GROUP BY r.{id}
        HAVING max(r.{expires_at}) <= {now_expires}) d

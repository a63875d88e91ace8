-- The states that the first rows are in, for --check-config: asked when none is active.
--
-- Answer, a row for each, most frequent first: the state, how many rows
SELECT pg_catalog.left(s.status, 40), pg_catalog.count(*)
  FROM (SELECT r.{status}::pg_catalog.text AS status FROM {reservations} r LIMIT 10000) s
 GROUP BY s.status
 ORDER BY 2 DESC, 1
 LIMIT 8

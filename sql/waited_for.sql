-- Whom one of the sweeper's sessions waits for at this moment: looked at again and again for 30 ms.
--
-- $1  its pid
-- Answer: pid (0: a prepared transaction), user, application, and of a prepared transaction its
--   owner in place of the user, and its gid
--
-- The CASE keeps the pause before the question. Releases wait for each other by an advisory lock: that
-- is no blocker.
WITH seen AS MATERIALIZED (
    SELECT w.pids
      FROM (SELECT moment, pg_catalog.pg_blocking_pids(
                       CASE WHEN pg_catalog.pg_sleep(0.002) IS NULL THEN NULL
                            ELSE $1::int + 0 * moment END) AS pids
              FROM pg_catalog.generate_series(1, 15) moment
            OFFSET 0) w
     WHERE pg_catalog.cardinality(w.pids) > 0
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l
                        WHERE l.pid = $1 AND NOT l.granted AND l.locktype = 'advisory'
                          AND w.moment > 0)
     LIMIT 1
)
SELECT b.pid, coalesce(x.owner, a.usename) AS holder, a.application_name, x.gid
  FROM seen s
 CROSS JOIN LATERAL pg_catalog.unnest(s.pids) AS b (pid)
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = b.pid
  LEFT JOIN LATERAL (
    SELECT p.owner, p.gid
      FROM pg_catalog.pg_locks l
      JOIN pg_catalog.pg_prepared_xacts p ON p.transaction = l.transactionid
     WHERE b.pid = 0 AND l.pid = $1 AND NOT l.granted
    OFFSET 0) x ON true

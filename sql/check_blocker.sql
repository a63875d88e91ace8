-- Who holds one of the two tables locked against a release, for --check-config.
--
-- $1, $2  the tables, quoted as in SQL
-- Answer, one row or none: the table, pid (NULL: a prepared transaction), user and application (as far
--   as this role may see them), the lock, for how many seconds the transaction has lasted
WITH RECURSIVE tree AS (
    SELECT pg_catalog.to_regclass(u.tab)::pg_catalog.oid AS tab FROM pg_catalog.unnest(ARRAY[$1::pg_catalog.text, $2::pg_catalog.text]) AS u (tab)
     UNION
    SELECT h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.tab
)
SELECT l.relation::pg_catalog.regclass::pg_catalog.text, l.pid, coalesce(a.usename, ''), coalesce(a.application_name, ''),
       l.mode, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint
  FROM tree t
  JOIN pg_catalog.pg_locks l ON l.relation = t.tab
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = pg_catalog.current_database())
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
 ORDER BY l.granted DESC, a.xact_start
 LIMIT 1

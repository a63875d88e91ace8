-- Who holds one of the two tables locked, so that nothing of it can be released.
--
-- $1, $2  the tables, as SQL names them; NULL: there is no second one
-- Answer: pid, user, application, and of a prepared transaction its owner in place of the user, and
--   its gid; the table; when that transaction began, or was prepared, in seconds since the epoch
--
-- Asks the catalog alone: the tables themselves cannot be read under such a lock.
SELECT l.pid, coalesce(x.owner, a.usename) AS holder, a.application_name, x.gid,
       l.relation::pg_catalog.regclass::pg_catalog.text AS held,
       extract(epoch FROM coalesce(x.prepared, a.xact_start)) AS since
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_database d ON d.oid = l.database
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts x
    ON l.pid IS NULL AND l.virtualtransaction = '-1/' || x.transaction::pg_catalog.text
 WHERE l.locktype = 'relation' AND l.granted AND d.datname = pg_catalog.current_database()
   AND l.relation IN (pg_catalog.to_regclass($1), pg_catalog.to_regclass($2))
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')

-- Whether a release waits at its COMMIT for a synchronous standby.
--
-- Answer, one row or none: the pid of its session, for how many seconds its transaction has lasted, and
--   synchronous_standby_names
--
-- It has done all its work, and keeps its locks, the releases' own (release_lock) among them: no other is
-- made meanwhile. What another role's session waits for is not shown to this one.
SELECT a.pid, extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint,
       pg_catalog.current_setting('synchronous_standby_names')
  FROM pg_catalog.pg_locks l
  JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted
   AND l.classid = 0 AND l.objid = 1920169843 AND l.objsubid = 1
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = pg_catalog.current_database())
   AND a.wait_event = 'SyncRep'
   AND a.xact_start < pg_catalog.clock_timestamp() - '1 s'::interval
 LIMIT 1

-- Ends the sessions of sweepers that are cut off: Postgres has a part of what one of them sends, and waits
-- for the rest, which does not come from a process that is suspended or a machine that is out of reach.
--
-- $1  for how long a transaction may have lasted, in milliseconds
-- Answer: pid, user, application; for how many seconds its transaction has lasted, and whether its end was
--   ordered. The two are NULL of a session that has the releases' lock and that this role may not end: if it
--   is another role's, it is mostly not shown either whether it is at work.
--
-- Such a transaction keeps its locks, the releases' own (release_lock) among them, and nothing is lost with
-- it: it was not committed. A sweeper sends all of a transaction at once, so that none that is at work is
-- met so.
WITH rs$lock AS MATERIALIZED (
    SELECT l.pid
      FROM pg_catalog.pg_locks l
     WHERE l.locktype = 'advisory' AND l.granted
       AND l.classid = 0 AND l.objid = 1920169843 AND l.objsubid = 1
       AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                          WHERE d.datname = pg_catalog.current_database())
), rs$known AS (
    SELECT a.pid, a.usename, a.application_name,
           extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start)::bigint AS seconds,
           a.pid IN (SELECT h.pid FROM rs$lock h) AS has_lock,
           a.usename = session_user AND pg_catalog.pg_has_role(a.usesysid, 'USAGE')
           AND EXISTS (SELECT FROM pg_catalog.pg_proc p
                        WHERE p.oid = 'pg_catalog.pg_terminate_backend'::pg_catalog.regproc
                          AND pg_catalog.has_function_privilege(p.oid, 'EXECUTE')) AS may
      FROM pg_catalog.pg_stat_activity a
     WHERE a.datname = pg_catalog.current_database()
       AND (a.xact_start IS NULL
            OR a.state = 'active' AND a.wait_event = 'ClientRead'
               AND a.xact_start < pg_catalog.clock_timestamp() - $1::bigint * '1 ms'::interval)
)
SELECT k.pid, k.usename, k.application_name,
       CASE WHEN k.may THEN k.seconds END,
       CASE WHEN k.may THEN pg_catalog.pg_terminate_backend(k.pid) END
  FROM rs$known k
 WHERE CASE WHEN k.may THEN k.seconds IS NOT NULL
                            AND (k.has_lock OR k.application_name LIKE 'reservation-sweeper %')
            ELSE k.has_lock END

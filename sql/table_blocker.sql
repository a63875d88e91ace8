-- Who holds a table locked, or waits to, so that a statement waits in vain: of a queue's own tables, then
-- of others that its SQL names, with their partitions, and the tables that a view of them reads.
--
-- $1  the queue's own tables, quoted as in SQL, an array in text form
-- $2  words of its SQL, any of which may be a table, an array in text form
-- Answer, one row or none: pid (NULL: a prepared transaction), user and application (as far as this role may
--   see them), and of a prepared transaction its owner in place of the user, and its gid; the table; since when
--   that transaction lasts, in seconds since the epoch; the lock; since when, for people
--
-- Asks the catalog alone: the tables themselves cannot be read under such a lock.
WITH RECURSIVE tree AS (
    SELECT n.tab, n.place
      FROM (SELECT pg_catalog.to_regclass(u.tab)::pg_catalog.oid AS tab, 0 AS place
              FROM pg_catalog.unnest($1::pg_catalog.text[]) AS u (tab)
            UNION ALL
            SELECT c.oid, 1
              FROM pg_catalog.pg_class c
             WHERE c.relname = ANY ($2::pg_catalog.text[]) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')) n
     UNION
    SELECT n.tab, t.place
      FROM tree t
     CROSS JOIN LATERAL (
        SELECT h.inhrelid AS tab FROM pg_catalog.pg_inherits h WHERE h.inhparent = t.tab
        UNION ALL
        SELECT d.refobjid
          FROM pg_catalog.pg_rewrite w
          JOIN pg_catalog.pg_depend d ON d.objid = w.oid
         WHERE w.ev_class = t.tab AND d.classid = 'pg_catalog.pg_rewrite'::pg_catalog.regclass
           AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass) n
)
SELECT l.pid, coalesce(x.owner, a.usename) AS holder, a.application_name, x.gid,
       l.relation::pg_catalog.regclass::pg_catalog.text AS held,
       extract(epoch FROM coalesce(x.prepared, a.xact_start)) AS since, l.mode,
       pg_catalog.to_char(coalesce(x.prepared, a.xact_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') AS since_text
  FROM tree t
  JOIN pg_catalog.pg_locks l ON l.relation = t.tab
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts x
    ON l.pid IS NULL AND l.virtualtransaction = '-1/' || x.transaction::pg_catalog.text
 WHERE l.locktype = 'relation' AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
   AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d
                      WHERE d.datname = pg_catalog.current_database())
   AND l.mode IN ('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')
 ORDER BY t.place, l.granted DESC, coalesce(x.prepared, a.xact_start)
 LIMIT 1

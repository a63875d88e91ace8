-- Who holds the rows and counters of some reservations locked.
--
-- $1  the ids, an array in text form
-- Answer: for each row that is still active, once or more: its position in $1 from 1; its product (the
--   key of its counter, if there are any); "reservation" or "counter"; who holds that: pid, user, application, or of a prepared
--   transaction its owner and gid; and when that transaction began, or was prepared, in seconds since the epoch. Without
--   a holder these are NULL.
--
-- Nobody waits for a lock that is passed by, so that pg_blocking_pids says nothing. The locked row's
-- xmax names the transaction, or a multixact of several; of these, those FOR KEY SHARE are in nobody's
-- way. Nothing tells the two apart but their ranges; what is neither is left by a transaction that
-- has ended. A savepoint that was released has an xid that is in no list any more: then it is the one
-- that holds a lock of the table and an xid before that, if there is but one.
WITH rs$asked AS MATERIALIZED (
    SELECT a.rs$n, v.*
      FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (rs$id, rs$n)
     CROSS JOIN LATERAL (
        SELECT r.xmax AS rs$held_by, r.tableoid AS rs$part{comma_hold_keys}, {active} AS rs$active
          FROM {reservations} r
         WHERE {typed} AND r.{id} = a.rs$id
        OFFSET 0) v
     WHERE v.rs$active
), rs$places AS MATERIALIZED (
    SELECT m.rs$n AS n, {product} AS product, 'reservation' AS what, m.rs$held_by AS held_by,
           m.rs$part AS part
      FROM rs$asked m
    {and_counters}
), rs$locks AS MATERIALIZED (
    SELECT l.locktype, l.relation, l.transactionid, l.virtualtransaction, l.pid, l.mode
      FROM pg_catalog.pg_locks l
     WHERE l.granted AND l.locktype IN ('relation', 'transactionid')
       AND l.pid IS DISTINCT FROM pg_catalog.pg_backend_pid()
), rs$members AS MATERIALIZED (
    SELECT p.n, p.what, p.part, p.held_by AS xid
      FROM rs$places p
     WHERE p.held_by <> '0'
    UNION ALL
    SELECT p.n, p.what, p.part, m.xid
      FROM rs$places p
     CROSS JOIN (SELECT pg_catalog.max(pg_catalog.mxid_age(d.datminmxid)) AS oldest
                   FROM pg_catalog.pg_database d) known
     CROSS JOIN LATERAL pg_catalog.pg_get_multixact_members(
           CASE WHEN p.held_by <> '0'
                 AND pg_catalog.mxid_age(p.held_by) BETWEEN 1 AND known.oldest
                THEN p.held_by END) m
     WHERE m.mode <> 'keysh'
), rs$holders AS MATERIALIZED (
    SELECT m.n, m.what, l.pid, l.transactionid
      FROM rs$members m
      JOIN rs$locks l ON l.locktype = 'transactionid' AND l.transactionid = m.xid
), rs$nested AS MATERIALIZED (
    SELECT m.n, m.what, pg_catalog.min(l.pid) AS pid,
           pg_catalog.min(l.transactionid::pg_catalog.text) AS transactionid
      FROM rs$members m
      JOIN rs$locks t ON t.locktype = 'relation' AND t.relation = m.part
      JOIN rs$locks l ON l.locktype = 'transactionid' AND l.virtualtransaction = t.virtualtransaction
       AND pg_catalog.age(l.transactionid) > pg_catalog.age(m.xid)
     WHERE t.mode IN ('RowShareLock', 'RowExclusiveLock')
       AND NOT EXISTS (SELECT FROM rs$holders h WHERE h.n = m.n AND h.what = m.what)
     GROUP BY m.n, m.what
    HAVING pg_catalog.count(DISTINCT l.virtualtransaction) = 1
), rs$found AS (
    SELECT h.n, h.what, h.pid, h.transactionid::pg_catalog.text AS transactionid FROM rs$holders h
    UNION ALL
    SELECT e.n, e.what, e.pid, e.transactionid FROM rs$nested e
)
SELECT p.n, p.product, p.what, f.pid, coalesce(x.owner, a.usename) AS holder, a.application_name,
       x.gid, extract(epoch FROM coalesce(x.prepared, a.xact_start)) AS since
  FROM rs$places p
  LEFT JOIN rs$found f ON f.n = p.n AND f.what = p.what
  LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = f.pid
  LEFT JOIN pg_catalog.pg_prepared_xacts x
    ON f.pid IS NULL AND x.transaction::pg_catalog.text = f.transactionid

--@ product if counters
{m_key_text}

--@ product
NULL::pg_catalog.text

--@ and_counters if counters
UNION ALL
    SELECT m.rs$n, {m_key_text}, 'counter', i.xmax, i.tableoid
      FROM rs$asked m
      JOIN {inventory} i ON {i_is_m}

--@ and_counters

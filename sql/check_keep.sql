-- Of which tables that `keep_while` reads row security is in force for this role, for --check-config: what it
-- hides keeps nothing.
--
-- Answer, a row for each: the table, and its policies ("none"), by name
--
-- Nothing of the relation is executed: Postgres locks what a statement names as it is parsed, the tables
-- behind a view too, and the locks of this session say which those are.
WITH rs$named AS (
    SELECT FROM {reservations} r WHERE {keep_while}
)
SELECT l.relation::pg_catalog.regclass::pg_catalog.text,
       coalesce((SELECT pg_catalog.string_agg(p.polname, ', ' ORDER BY p.polname)
                   FROM pg_catalog.pg_policy p WHERE p.polrelid = l.relation), 'none')
  FROM pg_catalog.pg_locks l
 WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'relation'
   AND l.relation <> {reservations_text}::pg_catalog.regclass
   AND pg_catalog.row_security_active(l.relation)
 ORDER BY 1

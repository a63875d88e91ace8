-- What grants are made of, for --show-sql.
--
-- $1, $2  the tables of holds and of counters, quoted as in SQL; $2 is NULL where there are no counters
-- Answer, a row for each: this role, the table with its schema, its schema; the latter two are NULL where
--   there is no such table
SELECT pg_catalog.quote_ident(current_user),
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(c.relname),
       pg_catalog.quote_ident(n.nspname)
  FROM pg_catalog.unnest(ARRAY[$1::pg_catalog.text, $2::pg_catalog.text]) WITH ORDINALITY AS u (tab, n)
  LEFT JOIN pg_catalog.pg_class c ON c.oid = pg_catalog.to_regclass(u.tab)
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 WHERE u.tab IS NOT NULL
 ORDER BY u.n

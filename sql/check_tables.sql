-- What the tables of a queue are, for --check-config.
--
-- $1, $3  the tables of holds and of counters, quoted as in SQL; $3 is NULL where there are no counters
-- $2, $4  their names, without schema and quotes
-- Answer, a row for each:
--   kind          pg_class.relkind; NULL: nothing of this name where it was looked for
--   elsewhere     in which other schemas there are tables of this name, and what is missing for one
--   foreign_part  a part of it that is a foreign table
WITH RECURSIVE tables AS (
    SELECT u.n, pg_catalog.to_regclass(u.tab)::pg_catalog.oid AS tab, u.name
      FROM ROWS FROM (pg_catalog.unnest(ARRAY[$1::pg_catalog.text, $3::pg_catalog.text]),
                      pg_catalog.unnest(ARRAY[$2::pg_catalog.text, $4::pg_catalog.text]))
           WITH ORDINALITY AS u (tab, name, n)
     WHERE u.tab IS NOT NULL
), family (n, tab) AS (
    SELECT t.n, t.tab FROM tables t
     UNION
    SELECT f.n, h.inhrelid FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.tab
)
SELECT c.relkind,
       (SELECT pg_catalog.string_agg(s.nspname || CASE WHEN pg_catalog.has_schema_privilege(s.oid, 'USAGE') THEN ''
                                            ELSE ' (where this role lacks USAGE)' END, ', ')
          FROM pg_catalog.pg_class o JOIN pg_catalog.pg_namespace s ON s.oid = o.relnamespace
         WHERE o.relname = t.name AND o.relkind IN ('r', 'p', 'v', 'm', 'f')
           AND s.nspname NOT LIKE 'pg\_%') AS elsewhere,
       (SELECT pg_catalog.min(f.tab::pg_catalog.regclass::pg_catalog.text)
          FROM family f JOIN pg_catalog.pg_class p ON p.oid = f.tab
         WHERE f.n = t.n AND f.tab <> t.tab AND p.relkind = 'f') AS foreign_part
  FROM tables t
  LEFT JOIN pg_catalog.pg_class c ON c.oid = t.tab
 ORDER BY t.n

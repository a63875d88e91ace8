-- The indexes of a table and of its parts, for advice.
--
-- $1  the table, quoted as in SQL
-- Answer: the index as a plan calls it, its first column (NULL: an expression), whether it is partial
WITH RECURSIVE family (tab) AS (
    SELECT pg_catalog.to_regclass($1)::pg_catalog.oid
     UNION
    SELECT h.inhrelid FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.tab
)
SELECT pg_catalog.quote_ident(c.relname), a.attname, x.indpred IS NOT NULL
  FROM family f
  JOIN pg_catalog.pg_index x ON x.indrelid = f.tab AND x.indisvalid
  JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
 ORDER BY c.relname

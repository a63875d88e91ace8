-- The indexes of the two tables, for advice.
--
-- $1  array of table names (quoted as in SQL)
-- Answer: number of the table in $1, index name, its first column (NULL: an expression), the
--   predicate of a partial index (or NULL), number of columns
SELECT u.n, c.relname, a.attname, pg_catalog.pg_get_expr(x.indpred, x.indrelid), x.indnkeyatts
  FROM pg_catalog.unnest($1::pg_catalog.text[]) WITH ORDINALITY AS u (tab, n)
  JOIN pg_catalog.pg_index x ON x.indrelid = pg_catalog.to_regclass(u.tab) AND x.indisvalid
  JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid
  LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = x.indkey[0]
 ORDER BY u.n, c.relname

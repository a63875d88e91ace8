-- What the database says of the columns that are used.
--
-- $1, $2  arrays of equal length: table name (quoted as in SQL), column name
-- Answer, in the order asked: type name (a domain's base type; NULL: no such table or column),
--   table found, may SELECT (the table: a release reads tableoid and ctid, which no grant to
--   columns includes), may UPDATE, Postgres's clock in microseconds
SELECT coalesce(b.typname, t.typname), w.tab IS NOT NULL,
       coalesce(has_table_privilege(w.tab, 'SELECT'), false),
       coalesce(has_column_privilege(w.tab, a.attnum, 'UPDATE'), false),
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
  FROM (SELECT u.n, to_regclass(u.tab) AS tab, u.col
          FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (tab, col, n)) w
  LEFT JOIN pg_catalog.pg_attribute a
    ON a.attrelid = w.tab AND a.attname = w.col AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
 ORDER BY w.n

-- What the database says of the columns that are used, and of their tables.
--
-- $1, $2  arrays of equal length: table name (quoted as in SQL), column name
-- Answer, in the order asked: type name (a domain's base type; NULL: no such table or column),
--   table found, may SELECT (the table: a release reads tableoid and ctid, which no grant to
--   columns includes), may UPDATE, Postgres's clock in microseconds, and
--   type         as SQL writes it, "numeric(10,2)"
--   nullable     the column
--   alone_unique a unique index has this column alone: no two rows of the table have one value
--   row_security of the table is in force for this role
--   meddled      triggers or rules of the shop's, or a table that is none (a view), may make an
--                UPDATE of the table something else than was sent; also those of its partitions
-- The last is asked anew inside a release (MEDDLED in src/sweep/mapping.c).
WITH RECURSIVE asked AS (
    SELECT u.n, pg_catalog.to_regclass(u.tab) AS tab, u.col
      FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS u (tab, col, n)
), family (root, rel) AS (
    SELECT a.tab::oid, a.tab::oid FROM asked a
    UNION
    SELECT f.root, h.inhrelid
      FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.rel
), meddled AS (
    SELECT DISTINCT f.root
      FROM family f JOIN pg_catalog.pg_class c ON c.oid = f.rel
     WHERE c.relkind NOT IN ('r', 'p')
        OR EXISTS (SELECT FROM pg_catalog.pg_trigger t
                    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                      AND t.tgtype & 16 <> 0)
        OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w
                    WHERE w.ev_class = c.oid AND w.ev_type = '2' AND w.ev_enabled <> 'D')
)
SELECT coalesce(b.typname, t.typname), w.tab IS NOT NULL,
       coalesce(has_table_privilege(w.tab, 'SELECT'), false),
       coalesce(has_column_privilege(w.tab, a.attnum, 'UPDATE'), false),
       (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       a.attnotnull IS NOT TRUE AS nullable,
       EXISTS (SELECT FROM pg_catalog.pg_index x
                WHERE x.indrelid = w.tab AND x.indisunique AND x.indisvalid AND x.indimmediate
                  AND x.indnkeyatts = 1 AND x.indkey[0] = a.attnum AND x.indpred IS NULL)
           AND NOT (c.relkind = 'r' AND c.relhassubclass) AS alone_unique,
       coalesce(pg_catalog.row_security_active(w.tab::oid), false) AS row_security,
       w.tab::oid IN (SELECT m.root FROM meddled m) AS meddled
  FROM asked w
  LEFT JOIN pg_catalog.pg_class c ON c.oid = w.tab
  LEFT JOIN pg_catalog.pg_attribute a
    ON a.attrelid = w.tab AND a.attname = w.col AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_type b ON b.oid = t.typbasetype AND t.typtype = 'd'
 ORDER BY w.n

-- What the database says of the columns that are used, and of their tables.
--
-- $1, $2  arrays of equal length: table name (quoted as in SQL), column name
-- $3      the table whose rows are deleted, quoted as in SQL; NULL: rows are updated
-- $4      the time zone in which times without one are read
-- $5      the columns that are the key of a counter
-- Answer, in the order asked:
--   kind         the column's type, of a domain its innermost base type; those of pg_catalog by
--                their bare names (NULL: no such table or column)
--   found        there is such a table
--   readable     may SELECT (the table: a release reads tableoid and ctid, which no grant to columns
--                includes)
--   writable     may UPDATE
--   clock        Postgres's, in microseconds
--   type         as SQL writes it, "numeric(10,2)"
--   nullable     the column
--   alone_unique a unique index has this column alone: no two rows of the table have one value, as
--                "=" compares values of the column (an index may compare them otherwise)
--   row_security of the table is in force for this role
--   key_unique   a unique index of the table has none but columns of that key: no two rows have one key
--   meddled      triggers or rules of the shop's, or a table that is none (a view), may make an UPDATE
--                of the table (a DELETE) something else than was sent; also those of its partitions
--   exact        the type itself, quoted as in SQL, with its schema and without its modifier
--   relation     the table's oid, which another one of the same name does not have
--   relkind      as in pg_class
--   bytes        the database's encoding is SQL_ASCII: its texts are bytes
--   deferred     such a trigger may wait for the COMMIT
--   divided      the table's rows may lie in several tables: partitions or children
--   lockable     may UPDATE any column of the table
--   deletable    may DELETE its rows
--   generated    what the column holds cannot be set
--   taken        a column of the table begins with rs$, as those do that statements make
--   there        the time in that zone: there is one of this name, or the question is refused
-- meddled is asked anew inside a release (`meddled` in sql/parts.sql).
WITH RECURSIVE asked AS (
    SELECT u.n, pg_catalog.to_regclass(u.tab) AS tab, u.col
      FROM ROWS FROM (pg_catalog.unnest($1::pg_catalog.text[]),
                      pg_catalog.unnest($2::pg_catalog.text[]))
           WITH ORDINALITY AS u (tab, col, n)
), family (root, rel) AS (
    SELECT a.tab::pg_catalog.oid, a.tab::pg_catalog.oid FROM asked a
    UNION
    SELECT f.root, h.inhrelid
      FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.rel
), meddled AS (
    SELECT DISTINCT f.root
      FROM (SELECT f.root, f.rel,
                   (f.root = pg_catalog.to_regclass($3::pg_catalog.text)::pg_catalog.oid) IS TRUE AS deleted
              FROM family f) f
      JOIN pg_catalog.pg_class c ON c.oid = f.rel
     WHERE c.relkind NOT IN ('r', 'p')
        OR EXISTS (SELECT FROM pg_catalog.pg_trigger t
                    WHERE t.tgrelid = c.oid AND NOT t.tgisinternal AND t.tgenabled <> 'D'
                      AND t.tgtype & CASE WHEN f.deleted THEN 8 ELSE 16 END <> 0)
        OR EXISTS (SELECT FROM pg_catalog.pg_rewrite w
                    WHERE w.ev_class = c.oid AND w.ev_enabled <> 'D'
                      AND w.ev_type = CASE WHEN f.deleted THEN '4' ELSE '2' END)
), sound (rel, columns) AS ( -- unique indexes, of all rows at all times, as "=" compares them
    SELECT x.indrelid, pg_catalog.array_agg(o.attname::pg_catalog.text)
      FROM pg_catalog.pg_index x
      JOIN pg_catalog.pg_class c ON c.oid = x.indrelid
     CROSS JOIN LATERAL pg_catalog.generate_series(0, x.indnkeyatts - 1) AS k (n)
      LEFT JOIN pg_catalog.pg_attribute o
        ON o.attrelid = x.indrelid AND o.attnum = x.indkey[k.n]
       AND o.attcollation = x.indcollation[k.n]
       AND EXISTS (SELECT FROM pg_catalog.pg_opclass p
                    WHERE p.oid = x.indclass[k.n] AND p.opcdefault)
     WHERE x.indrelid IN (SELECT w.tab FROM asked w)
       AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indpred IS NULL
       AND NOT (c.relkind = 'r' AND c.relhassubclass)
     GROUP BY x.indrelid, x.indexrelid
    HAVING pg_catalog.bool_and(o.attname IS NOT NULL)
), base (asked, typname, typnamespace, typtype, typbasetype) AS (
    SELECT t.oid, t.typname, t.typnamespace, t.typtype, t.typbasetype
      FROM pg_catalog.pg_type t
     WHERE t.oid IN (SELECT r.atttypid
                       FROM asked w
                       JOIN pg_catalog.pg_attribute r ON r.attrelid = w.tab AND r.attname = w.col)
    UNION ALL
    SELECT d.asked, t.typname, t.typnamespace, t.typtype, t.typbasetype
      FROM base d JOIN pg_catalog.pg_type t ON t.oid = d.typbasetype
     WHERE d.typtype = 'd'
)
SELECT CASE WHEN k.nspname = 'pg_catalog' THEN b.typname::pg_catalog.text
            ELSE k.nspname || '.' || b.typname END AS kind,
       w.tab IS NOT NULL AS found,
       coalesce(pg_catalog.has_table_privilege(w.tab, 'SELECT'), false) AS readable,
       coalesce(pg_catalog.has_column_privilege(w.tab, a.attnum, 'UPDATE'), false) AS writable,
       (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint AS clock,
       pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
       (a.attnotnull OR t.typnotnull) IS NOT TRUE AS nullable,
       EXISTS (SELECT FROM sound s
                WHERE s.rel = w.tab
                  AND s.columns = ARRAY[a.attname::pg_catalog.text]) AS alone_unique,
       EXISTS (SELECT FROM sound s
                WHERE s.rel = w.tab
                  AND s.columns <@ $5::pg_catalog.text[]) AS key_unique,
       coalesce(pg_catalog.row_security_active(w.tab::pg_catalog.oid), false) AS row_security,
       w.tab::pg_catalog.oid IN (SELECT m.root FROM meddled m) AS meddled,
       pg_catalog.quote_ident(n.nspname) || '.' || pg_catalog.quote_ident(t.typname) AS exact,
       w.tab::pg_catalog.oid AS relation, c.relkind,
       pg_catalog.current_setting('server_encoding') = 'SQL_ASCII' AS bytes,
       EXISTS (SELECT FROM family f JOIN pg_catalog.pg_trigger t ON t.tgrelid = f.rel
                WHERE f.root = w.tab AND NOT t.tgisinternal AND t.tgdeferrable) AS deferred,
       (c.relkind = 'p' OR c.relhassubclass) IS TRUE AS divided,
       coalesce(pg_catalog.has_any_column_privilege(w.tab, 'UPDATE'), false) AS lockable,
       coalesce(pg_catalog.has_table_privilege(w.tab, 'DELETE'), false) AS deletable,
       (a.attgenerated <> '' OR a.attidentity = 'a') IS TRUE AS generated,
       EXISTS (SELECT FROM pg_catalog.pg_attribute o
                WHERE o.attrelid = w.tab AND o.attnum > 0 AND NOT o.attisdropped
                  AND pg_catalog.starts_with(o.attname::pg_catalog.text, 'rs$')) AS taken,
       (pg_catalog.now() AT TIME ZONE $4::pg_catalog.text) AS there
  FROM asked w
  LEFT JOIN pg_catalog.pg_class c ON c.oid = w.tab
  LEFT JOIN pg_catalog.pg_attribute a
    ON a.attrelid = w.tab AND a.attname = w.col AND a.attnum > 0 AND NOT a.attisdropped
  LEFT JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
  LEFT JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
  LEFT JOIN base b ON b.asked = t.oid AND b.typtype <> 'd'
  LEFT JOIN pg_catalog.pg_namespace k ON k.oid = b.typnamespace
 ORDER BY w.n

-- What --init looks at: the tables that have a time whose name is that of an expiry, with what else
-- shows whether they are holds; one JSON document each, so that a page of the catalog is enough.
-- $1, $2: parts of names, in lower case: of an expiry, of a counter.
-- Answers: the document of a table.
WITH named AS (
    SELECT a.attrelid AS rel, a.attnum, a.attname::pg_catalog.text AS name, a.attnotnull,
           CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END AS base,
           pg_catalog.lower(a.attname::pg_catalog.text) AS lowered
      FROM pg_catalog.pg_attribute a
      JOIN pg_catalog.pg_type t ON t.oid = a.atttypid
      JOIN pg_catalog.pg_class c ON c.oid = a.attrelid
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND NOT c.relispartition AND c.relpersistence <> 't'
       AND n.nspname <> 'information_schema' AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_')
       AND a.attnum > 0 AND NOT a.attisdropped
), holds AS (
    SELECT DISTINCT a.rel
      FROM named a
     WHERE a.base IN (20, 1114, 1184) -- bigint, timestamp, timestamptz
       AND EXISTS (SELECT FROM pg_catalog.unnest($1::pg_catalog.text[]) w
                    WHERE pg_catalog.strpos(a.lowered, w) > 0)
     ORDER BY a.rel
     LIMIT 200
), counting AS (
    SELECT DISTINCT a.rel
      FROM named a
     WHERE a.base IN (20, 21, 23, 1700) -- integers, numeric
       AND EXISTS (SELECT FROM pg_catalog.unnest($2::pg_catalog.text[]) w
                    WHERE pg_catalog.strpos(a.lowered, w) > 0)
), shared AS (
    -- Columns of the same names and types are unique over there.
    SELECT h.rel AS hold, x.indrelid AS counter, x.indexrelid, x.indnkeyatts,
           pg_catalog.array_agg(mine.attnum ORDER BY k.place) AS mine,
           pg_catalog.array_agg(theirs.attnum ORDER BY k.place) AS theirs
      FROM pg_catalog.pg_index x
      JOIN counting c ON c.rel = x.indrelid
     CROSS JOIN pg_catalog.unnest(x.indkey) WITH ORDINALITY AS k (attnum, place)
      JOIN named theirs ON theirs.rel = x.indrelid AND theirs.attnum = k.attnum
      JOIN named mine ON mine.name = theirs.name AND mine.base = theirs.base
      JOIN holds h ON h.rel = mine.rel
     WHERE x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
       AND k.place <= x.indnkeyatts AND x.indnkeyatts <= 8 AND theirs.name <> 'id'
       AND x.indrelid NOT IN (SELECT rel FROM holds)
     GROUP BY h.rel, x.indrelid, x.indexrelid, x.indnkeyatts
    HAVING pg_catalog.count(*) = x.indnkeyatts
), links AS (
    SELECT DISTINCT ON (l.hold, l.counter) l.hold, l.counter, l.mine, l.theirs
      FROM (SELECT f.conrelid AS hold, f.confrelid AS counter, f.conkey AS mine, f.confkey AS theirs, 1 AS rank
              FROM pg_catalog.pg_constraint f
              JOIN holds h ON h.rel = f.conrelid
              JOIN counting c ON c.rel = f.confrelid
             WHERE f.contype = 'f' AND f.confrelid <> f.conrelid
               AND pg_catalog.cardinality(f.conkey) <= 8
            UNION ALL
            SELECT s.hold, s.counter, s.mine, s.theirs, 2 FROM shared s) l
     ORDER BY l.hold, l.counter, l.rank, pg_catalog.cardinality(l.mine), l.mine
), shown AS (
    SELECT rel FROM holds UNION SELECT counter FROM links
), columns AS (
    SELECT a.rel, pg_catalog.json_agg(pg_catalog.json_build_object(
               'name', a.name, 'ident', pg_catalog.quote_ident(a.name),
               'kind', CASE WHEN t.typtype = 'e' THEN 'enum'
                            WHEN a.base = 1184 THEN 'timestamptz' WHEN a.base = 1114 THEN 'timestamp'
                            WHEN a.base = 20 THEN 'bigint' WHEN a.base IN (21, 23) THEN 'integer'
                            WHEN a.base = 1700 THEN 'numeric' WHEN a.base = 16 THEN 'boolean'
                            WHEN a.base = 2950 THEN 'uuid'
                            WHEN a.base IN (25, 1042, 1043) THEN 'text' ELSE 'other' END,
               'nullable', NOT a.attnotnull,
               'primary', EXISTS (SELECT FROM pg_catalog.pg_index p
                                   WHERE p.indrelid = a.rel AND p.indisprimary AND a.attnum = ANY (p.indkey)),
               'preset', (SELECT pg_catalog.replace(pg_catalog.substring(pg_catalog.pg_get_expr(d.adbin, d.adrelid),
                                      '^''((?:[^'']|'''')*)''::'), '''''', '''')
                            FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.rel AND d.adnum = a.attnum),
               -- Of an enum, or as a constraint of the column names them.
               'values', coalesce(
                   (SELECT pg_catalog.json_agg(e.enumlabel ORDER BY e.enumsortorder)
                      FROM pg_catalog.pg_enum e WHERE e.enumtypid = a.base),
                   (SELECT pg_catalog.json_agg(DISTINCT pg_catalog.replace(m.found[1], '''''', ''''))
                      FROM pg_catalog.pg_constraint k
                     CROSS JOIN pg_catalog.regexp_matches(pg_catalog.pg_get_constraintdef(k.oid),
                                                          '''((?:[^'']|'''')*)''::', 'g') AS m (found)
                     WHERE k.conrelid = a.rel AND k.contype = 'c' AND k.conkey = ARRAY[a.attnum]
                       AND a.base IN (25, 1042, 1043))),
               -- All of it is asked of a column or two alone. What is common is known of the whole
               -- table where it was analyzed, what is not of its beginning.
               'question', pg_catalog.format(
                   'SELECT u.v FROM (SELECT pg_catalog.unnest(s.most_common_vals::pg_catalog.text::pg_catalog.text[]) AS v'
                   ' FROM pg_catalog.pg_stats s WHERE s.schemaname = %1$L AND s.tablename = %2$L AND s.attname = %3$L'
                   ' UNION SELECT f.v FROM (SELECT x.%4$I::pg_catalog.text AS v FROM %5$I.%6$I AS x LIMIT 10000) f) u'
                   ' WHERE u.v IS NOT NULL ORDER BY u.v COLLATE "C" LIMIT 21',
                   n.nspname, c.relname, a.name, a.name, n.nspname, c.relname)
           ) ORDER BY a.attnum) AS list
      FROM shown
      JOIN named a ON a.rel = shown.rel
      JOIN pg_catalog.pg_type t ON t.oid = a.base
      JOIN pg_catalog.pg_class c ON c.oid = a.rel
      JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
     GROUP BY a.rel
)
SELECT pg_catalog.json_build_object(
           'schema', CASE WHEN NOT pg_catalog.pg_table_is_visible(h.rel) THEN n.nspname END,
           'table', c.relname,
           'zone', (SELECT s.reset_val FROM pg_catalog.pg_settings s WHERE s.name = 'TimeZone'),
           'columns', (SELECT o.list FROM columns o WHERE o.rel = h.rel),
           'triggers', (SELECT pg_catalog.json_agg(g.tgname ORDER BY g.tgname)
                          FROM pg_catalog.pg_trigger g WHERE g.tgrelid = h.rel AND NOT g.tgisinternal),
           'children', (SELECT pg_catalog.json_agg(DISTINCT f.conrelid::pg_catalog.regclass::pg_catalog.text)
                          FROM pg_catalog.pg_constraint f
                         WHERE f.confrelid = h.rel AND f.contype = 'f' AND f.conrelid <> h.rel),
           'counters', (SELECT pg_catalog.json_agg(pg_catalog.json_build_object(
                                   'schema', CASE WHEN NOT pg_catalog.pg_table_is_visible(l.counter) THEN m.nspname END,
                                   'table', k.relname,
                                   'columns', o.list,
                                   'keys', (SELECT pg_catalog.json_agg(pg_catalog.json_build_array(mine.name, theirs.name)
                                                                       ORDER BY p.place)
                                              FROM ROWS FROM (pg_catalog.unnest(l.mine), pg_catalog.unnest(l.theirs)) WITH ORDINALITY AS p (mine, theirs, place)
                                              JOIN named mine ON mine.rel = l.hold AND mine.attnum = p.mine
                                              JOIN named theirs ON theirs.rel = l.counter AND theirs.attnum = p.theirs),
                                   -- Of three columns, one of which is the sum of the others.
                                   'sums', (SELECT pg_catalog.json_agg((SELECT pg_catalog.json_agg(s.name)
                                                                          FROM named s
                                                                         WHERE s.rel = l.counter AND s.attnum = ANY (r.conkey)))
                                              FROM pg_catalog.pg_constraint r
                                             WHERE r.conrelid = l.counter AND r.contype = 'c'
                                               AND pg_catalog.cardinality(r.conkey) = 3
                                               AND pg_catalog.pg_get_constraintdef(r.oid) ~ '[+]'
                                               AND pg_catalog.pg_get_constraintdef(r.oid) !~ '[<>]'))
                                ORDER BY k.relname, m.nspname)
                          FROM links l
                          JOIN columns o ON o.rel = l.counter
                          JOIN pg_catalog.pg_class k ON k.oid = l.counter
                          JOIN pg_catalog.pg_namespace m ON m.oid = k.relnamespace
                         WHERE l.hold = h.rel)
       )::pg_catalog.text
  FROM holds h
  JOIN pg_catalog.pg_class c ON c.oid = h.rel
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
 ORDER BY c.relname, n.nspname

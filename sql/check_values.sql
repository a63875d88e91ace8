-- Makes the question for the values that there are, for --check-config: asked when `active` is true of no
-- row.
--
-- $1  the holds' table, quoted as in SQL
-- $2  `active`
-- Answer, one row: the columns that `active` names (three at most), and the question, whose answer has
--   a row for each value of the first rows, most frequent first: the value, how many rows; NULLs when it
--   names none
SELECT pg_catalog.string_agg(c.name, ', ' ORDER BY c.attnum),
       pg_catalog.format('SELECT pg_catalog.concat_ws('', '', %s), pg_catalog.count(*)'
                         ' FROM (SELECT * FROM %s LIMIT 10000) r GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 8',
                         pg_catalog.string_agg(
                             CASE WHEN c.several THEN pg_catalog.format('%L || ', c.name || ' ') ELSE '' END
                             || pg_catalog.format('coalesce(pg_catalog.quote_literal(pg_catalog.left('
                                                  'r.%1$s::pg_catalog.text, 40)), ''NULL'')', c.name),
                             ', ' ORDER BY c.attnum),
                         $1::pg_catalog.text)
  FROM (SELECT pg_catalog.quote_ident(a.attname) AS name, a.attnum,
               pg_catalog.count(*) OVER () > 1 AS several
          FROM pg_catalog.pg_attribute a
         WHERE a.attrelid = pg_catalog.to_regclass($1) AND a.attnum > 0 AND NOT a.attisdropped
           AND $2::pg_catalog.text ~* pg_catalog.concat('(^|[^[:alnum:]_$])',
                   pg_catalog.regexp_replace(a.attname, '([^[:alnum:]_])', '\\\1', 'g'), '($|[^[:alnum:]_$])')
         ORDER BY a.attnum
         LIMIT 3) c
HAVING pg_catalog.count(*) > 0

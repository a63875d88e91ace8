-- What must hold of a row that is released, for --check-config: EXPLAIN evaluates no constraint, so each
-- becomes a question of its own, which changes nothing.
--
-- $1  the holds' table, quoted as in SQL
-- $2, $3  arrays of equal length: the columns that `released` sets, and to what
-- $4  `active`
-- Answer, a row for each: kind (domain, check, policy, key, unique, partition), name, what it says, the
--   changes that it minds, and the question: how many rows were looked at, how many of them it would
--   refuse. Active rows are looked at as if they were released; without any, one row of NULLs, which a
--   constraint passes unless it minds the changes alone.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.to_regclass($1)::pg_catalog.oid AS tab
     UNION
    SELECT h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.tab
), cols AS (
    SELECT a.attrelid AS tab, a.attnum, a.attname, s.expr IS NOT NULL AS changed,
           pg_catalog.format_type(a.atttypid, a.atttypmod) AS type,
           CASE WHEN pg_catalog.btrim(s.expr, E' \n') ~ '^''[^'']*''$'
                THEN pg_catalog.format('the %I %s', a.attname, pg_catalog.btrim(s.expr, E' \n'))
                WHEN s.expr IS NOT NULL
                THEN pg_catalog.format('%I = %s', a.attname, pg_catalog.left(pg_catalog.btrim(s.expr, E' \n'), 80)) END AS change,
           CASE WHEN s.expr IS NOT NULL
                THEN pg_catalog.format(E'(\n%s\n)::%s', s.expr, pg_catalog.format_type(a.atttypid, a.atttypmod))
                ELSE pg_catalog.format('r.%I', a.attname) END || pg_catalog.format(' AS %I', a.attname) AS item
      FROM tree t
      JOIN pg_catalog.pg_attribute a
        ON a.attrelid = t.tab AND a.attnum > 0 AND NOT a.attisdropped
      LEFT JOIN ROWS FROM (pg_catalog.unnest($2::pg_catalog.text[]), pg_catalog.unnest($3::pg_catalog.text[]))
             AS s (col, expr) ON s.col = a.attname
), made AS (
    SELECT c.tab, pg_catalog.string_agg(c.item, ', ' ORDER BY c.attnum) AS list,
           pg_catalog.array_agg(c.attnum) FILTER (WHERE c.changed) AS changed,
           pg_catalog.format(E'(SELECT r.*, r.ctid AS rs$place FROM %s r WHERE (\n%s\n) LIMIT 1000) r',
                             c.tab::pg_catalog.regclass, $4::pg_catalog.text) AS rows
      FROM cols c
     GROUP BY c.tab
), rules AS (
    SELECT 'check' AS kind, n.conname::pg_catalog.text AS name, n.conrelid AS tab, true AS nulls,
           pg_catalog.pg_get_expr(n.conbin, n.conrelid) AS expr
      FROM made m
      JOIN pg_catalog.pg_constraint n
        ON n.conrelid = m.tab AND n.contype = 'c' AND n.conislocal AND m.changed && n.conkey
     UNION ALL -- of the row as it becomes, since it is updated and then returned
    SELECT DISTINCT 'policy', pg_catalog.string_agg(p.polname::pg_catalog.text, ', ' ORDER BY p.polname), p.polrelid, true,
           pg_catalog.concat_ws(' AND ',
               pg_catalog.format('(%s)', pg_catalog.string_agg(p.expr, ' OR ' ORDER BY p.polname)
                                             FILTER (WHERE p.polpermissive)),
               pg_catalog.string_agg(p.expr, ' AND ' ORDER BY p.polname) FILTER (WHERE NOT p.polpermissive))
      FROM (SELECT y.*, u.command,
                   pg_catalog.pg_get_expr(CASE WHEN u.command = 'w' THEN coalesce(y.polwithcheck, y.polqual)
                                               ELSE y.polqual END, y.polrelid) AS expr
              FROM pg_catalog.pg_policy y
              JOIN (VALUES ('w'), ('r')) AS u (command) ON y.polcmd IN ('*', u.command::"char")
             WHERE y.polrelid = pg_catalog.to_regclass($1) AND pg_catalog.row_security_active(y.polrelid)
               AND EXISTS (SELECT FROM pg_catalog.unnest(y.polroles) AS o (role)
                            WHERE CASE o.role WHEN 0 THEN true
                                  ELSE pg_catalog.pg_has_role(o.role, 'MEMBER') END)) p
     GROUP BY p.polrelid, p.command
    HAVING pg_catalog.bool_or(p.polpermissive)
     UNION ALL
    SELECT 'partition', $1, pg_catalog.to_regclass($1)::pg_catalog.oid,
           NOT EXISTS (SELECT FROM made m JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = m.tab
                        WHERE NOT (p.partattrs::pg_catalog.int2[] <@ m.changed)),
           pg_catalog.string_agg(pg_catalog.format('coalesce((%s), true)', pg_catalog.pg_get_partition_constraintdef(t.tab)), ' OR ')
      FROM tree t JOIN pg_catalog.pg_class l ON l.oid = t.tab AND l.relkind <> 'p'
     WHERE EXISTS (SELECT FROM pg_catalog.pg_class root
                    WHERE root.oid = pg_catalog.to_regclass($1) AND root.relkind = 'p')
)
SELECT 'domain' AS kind, c.type AS name, NULL::pg_catalog.text AS says, c.change AS changes,
       pg_catalog.format('SELECT pg_catalog.count(*), 0 * pg_catalog.count(n.%I)'
                         ' FROM (SELECT %s FROM (SELECT) one LEFT JOIN %s ON true) n',
                         c.attname, m.list, m.rows) AS question
  FROM cols c JOIN made m ON m.tab = c.tab
 WHERE c.changed AND c.tab = pg_catalog.to_regclass($1)
 UNION ALL
SELECT 'key', k.conname, f.attname || ' of ' || k.confrelid::pg_catalog.regclass, c.change,
       pg_catalog.format('SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE n.%1$I IS NOT NULL'
                         ' AND NOT EXISTS (SELECT FROM %2$s k WHERE k.%3$I = n.%1$I))'
                         ' FROM (SELECT %4$s FROM (SELECT) one LEFT JOIN %5$s ON true) n',
                         c.attname, k.confrelid::pg_catalog.regclass, f.attname, m.list, m.rows)
  FROM cols c
  JOIN made m ON m.tab = c.tab
  JOIN pg_catalog.pg_constraint k
    ON k.conrelid = c.tab AND k.contype = 'f' AND k.conparentid = 0 AND k.conkey = ARRAY[c.attnum]
  JOIN pg_catalog.pg_attribute f ON f.attrelid = k.confrelid AND f.attnum = k.confkey[1]
 WHERE c.changed
 UNION ALL
SELECT 'unique', i.relname, NULL,
       (SELECT pg_catalog.string_agg(c.change, ' and ' ORDER BY c.attnum) FROM cols c
         WHERE c.tab = m.tab AND c.changed AND c.attnum = ANY ((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1])),
       pg_catalog.format('SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE EXISTS ('
                         'SELECT FROM %s o WHERE o.ctid <> n.rs$place%s))'
                         ' FROM (SELECT r.rs$place, %s FROM %s) n',
                         m.tab::pg_catalog.regclass,
                         (SELECT pg_catalog.string_agg(pg_catalog.format(' AND o.%1$I = n.%1$I', c.attname), '')
                            FROM cols c
                           WHERE c.tab = m.tab AND c.attnum = ANY ((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1])),
                         m.list, m.rows)
  FROM made m
  JOIN pg_catalog.pg_index x
    ON x.indrelid = m.tab AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
   AND m.changed && (x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1]
  JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
 UNION ALL
SELECT r.kind, r.name, r.expr,
       (SELECT pg_catalog.string_agg(c.change, ' and ' ORDER BY c.attnum) FROM cols c
         WHERE c.tab = r.tab AND c.changed
           AND r.expr ~* pg_catalog.concat('(^|[^[:alnum:]_$])',
                   pg_catalog.regexp_replace(c.attname, '([^[:alnum:]_])', '\\\1', 'g'), '($|[^[:alnum:]_$])')),
       pg_catalog.format('SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE (%s) IS FALSE) FROM (SELECT %s FROM (SELECT) one'
              ' %s %s ON true) %I',
              r.expr, m.list, CASE WHEN r.nulls THEN 'LEFT JOIN' ELSE 'JOIN' END, m.rows, t.relname)
  FROM rules r JOIN made m ON m.tab = r.tab JOIN pg_catalog.pg_class t ON t.oid = r.tab
 WHERE r.expr IS NOT NULL

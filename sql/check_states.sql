-- What must hold of a row that becomes released, for --check-config: EXPLAIN evaluates no constraint,
-- so each becomes a question of its own, which changes nothing.
--
-- $1  the reservations' table, quoted as in SQL
-- $2, $3  its columns status and updated_at
-- $4, $5  the states active and released
-- Answer, a row for each: kind (domain, check, policy, key, unique, partition), name, what it says, and the question:
--   how many rows were looked at, how many of them it would refuse. Active rows are looked at as if
--   they were released; without any, one row of NULLs, which a constraint passes unless it minds the
--   state alone.
WITH RECURSIVE tree AS (
    SELECT pg_catalog.to_regclass($1)::pg_catalog.oid AS tab
     UNION
    SELECT h.inhrelid FROM tree t JOIN pg_catalog.pg_inherits h ON h.inhparent = t.tab
), cols AS (
    SELECT a.attrelid AS tab, pg_catalog.max(a.attnum) FILTER (WHERE a.attname = $2) AS status,
           pg_catalog.max(pg_catalog.format_type(a.atttypid, a.atttypmod)) FILTER (WHERE a.attname = $2) AS status_type,
           pg_catalog.string_agg(CASE a.attname
                      WHEN $2 THEN pg_catalog.format('%L::%s', $5::pg_catalog.text, pg_catalog.format_type(a.atttypid, a.atttypmod))
                      WHEN $3 THEN pg_catalog.format('pg_catalog.now()::%s', pg_catalog.format_type(a.atttypid, a.atttypmod))
                      ELSE pg_catalog.format('r.%I', a.attname) END || pg_catalog.format(' AS %I', a.attname),
                      ', ' ORDER BY a.attnum) AS list
      FROM tree t
      JOIN pg_catalog.pg_attribute a
        ON a.attrelid = t.tab AND a.attnum > 0 AND NOT a.attisdropped
     GROUP BY a.attrelid
), rules AS (
    SELECT 'check' AS kind, n.conname::pg_catalog.text AS name, n.conrelid AS tab, true AS nulls,
           pg_catalog.pg_get_expr(n.conbin, n.conrelid) AS expr
      FROM cols c
      JOIN pg_catalog.pg_constraint n
        ON n.conrelid = c.tab AND n.contype = 'c' AND n.conislocal AND c.status = ANY (n.conkey)
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
           NOT EXISTS (SELECT FROM tree t JOIN pg_catalog.pg_partitioned_table p ON p.partrelid = t.tab
                        WHERE p.partattrs::pg_catalog.text <> (SELECT c.status::pg_catalog.text FROM cols c
                                                     WHERE c.tab = t.tab)),
           pg_catalog.string_agg(pg_catalog.format('coalesce((%s), true)', pg_catalog.pg_get_partition_constraintdef(t.tab)), ' OR ')
      FROM tree t JOIN pg_catalog.pg_class l ON l.oid = t.tab AND l.relkind <> 'p'
     WHERE EXISTS (SELECT FROM pg_catalog.pg_class root
                    WHERE root.oid = pg_catalog.to_regclass($1) AND root.relkind = 'p')
)
SELECT 'domain' AS kind, c.status_type AS name, NULL::pg_catalog.text AS says,
       pg_catalog.format('SELECT 1, (%L::%s IS NULL)::int', $5::pg_catalog.text, c.status_type) AS question
  FROM cols c WHERE c.tab = pg_catalog.to_regclass($1)
 UNION ALL
SELECT 'key', n.conname, f.attname || ' of ' || n.confrelid::pg_catalog.regclass,
       pg_catalog.format('SELECT 1, (NOT EXISTS (SELECT FROM %s k WHERE k.%I = %L))::int', n.confrelid::pg_catalog.regclass,
              f.attname, $5::pg_catalog.text)
  FROM cols c
  JOIN pg_catalog.pg_constraint n
    ON n.conrelid = c.tab AND n.contype = 'f' AND n.conparentid = 0 AND c.status = ANY (n.conkey)
  JOIN pg_catalog.pg_attribute f
    ON f.attrelid = n.confrelid AND f.attnum = n.confkey[pg_catalog.array_position(n.conkey, c.status)]
 UNION ALL
SELECT 'unique', i.relname, NULL,
       pg_catalog.format('SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE EXISTS (SELECT FROM %1$s o WHERE o.%2$I = %3$L'
              ' %4$s)) FROM (SELECT * FROM %1$s WHERE %2$I = %5$L LIMIT 1000) r',
              c.tab::pg_catalog.regclass, $2::pg_catalog.text, $5::pg_catalog.text,
              (SELECT pg_catalog.string_agg(pg_catalog.format('AND o.%1$I = r.%1$I', a.attname), ' ')
                 FROM pg_catalog.pg_attribute a
                WHERE a.attrelid = c.tab AND a.attnum <> c.status
                  AND a.attnum = ANY ((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1])), $4::pg_catalog.text)
  FROM cols c
  JOIN pg_catalog.pg_index x
    ON x.indrelid = c.tab AND x.indisunique AND x.indpred IS NULL AND x.indexprs IS NULL
    AND c.status = ANY ((x.indkey::pg_catalog.int2[])[0:x.indnkeyatts - 1])
  JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
 UNION ALL
SELECT r.kind, r.name, r.expr,
       pg_catalog.format('SELECT pg_catalog.count(*), pg_catalog.count(*) FILTER (WHERE (%s) IS FALSE) FROM (SELECT %s FROM (SELECT) one'
              ' %s (SELECT * FROM %s WHERE %I = %L LIMIT 1000) r ON true) %I',
              r.expr, c.list, CASE WHEN r.nulls THEN 'LEFT JOIN' ELSE 'JOIN' END,
              r.tab::pg_catalog.regclass, $2::pg_catalog.text, $4::pg_catalog.text, t.relname)
  FROM rules r JOIN cols c ON c.tab = r.tab JOIN pg_catalog.pg_class t ON t.oid = r.tab
 WHERE r.expr IS NOT NULL

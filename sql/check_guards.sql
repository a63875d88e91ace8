-- What of the shop's own acts when the tables of a queue are read and changed, for --check-config.
--
-- $1, $2  the tables of holds and of counters, quoted as in SQL; $2 is NULL where there are no counters
-- $3      whether holds are deleted, not updated
-- Answer, a row for each:
--   sees, moves  there is a policy that lets this role see rows, and one that lets it change them
--   policies     those, by name
--   triggers     that such a change fires, also those of its parts, by name
--   rules        of such a change, by name
--   filled       it has pages: if no rows, then it had
--   keys         foreign keys of other tables that point at rows which are deleted, each with what it
--                does then
WITH RECURSIVE tables AS (
    SELECT u.n, pg_catalog.to_regclass(u.tab)::pg_catalog.oid AS tab, u.n = 1 AND $3::boolean AS deletes
      FROM pg_catalog.unnest(ARRAY[$1::pg_catalog.text, $2::pg_catalog.text]) WITH ORDINALITY AS u (tab, n)
     WHERE u.tab IS NOT NULL
), family (n, tab, deletes) AS (
    SELECT t.n, t.tab, t.deletes FROM tables t
     UNION
    SELECT f.n, h.inhrelid, f.deletes
      FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.tab
)
SELECT coalesce(p.sees, false), coalesce(p.moves, false), p.names,
       (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(g.tgname), ', ')
          FROM family f JOIN pg_catalog.pg_trigger g ON g.tgrelid = f.tab
         WHERE f.n = t.n AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
           AND g.tgtype & CASE WHEN f.deletes THEN 8 ELSE 16 END <> 0) AS triggers,
       (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(w.rulename), ', ')
          FROM family f JOIN pg_catalog.pg_rewrite w ON w.ev_class = f.tab
         WHERE f.n = t.n AND w.ev_type = CASE WHEN f.deletes THEN '4' ELSE '2' END
           AND w.ev_enabled IN ('O', 'A')) AS rules,
       (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(f.tab)) > 0 FROM family f WHERE f.n = t.n) AS filled,
       (SELECT pg_catalog.string_agg(pg_catalog.concat(pg_catalog.quote_ident(k.conname), ' of table ',
                                                       k.conrelid::pg_catalog.regclass, ', ',
                                     CASE k.confdeltype WHEN 'c' THEN 'which deletes its rows too'
                                                        WHEN 'n' THEN 'which sets it to NULL there'
                                                        WHEN 'd' THEN 'which sets it to its default there'
                                                        ELSE 'which refuses it while there are some' END),
                                     '; ' ORDER BY k.conname)
          FROM pg_catalog.pg_constraint k
         WHERE t.deletes AND k.confrelid = t.tab AND k.contype = 'f' AND k.conparentid = 0) AS keys
  FROM tables t
  LEFT JOIN LATERAL (
    SELECT pg_catalog.bool_or(p.polcmd IN ('*', 'r')) AS sees,
           pg_catalog.bool_or(p.polcmd IN ('*', CASE WHEN t.deletes THEN 'd' ELSE 'w' END)) AS moves,
           pg_catalog.string_agg(pg_catalog.quote_ident(p.polname), ', ' ORDER BY p.polname) AS names
      FROM pg_catalog.pg_policy p
     WHERE p.polrelid = t.tab AND p.polpermissive
       AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS u (role)
                    WHERE CASE WHEN u.role = 0 THEN true
                               ELSE pg_catalog.pg_has_role(u.role, 'USAGE') END)) p ON true
 ORDER BY t.n

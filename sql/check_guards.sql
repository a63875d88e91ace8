-- What of the shop's own acts when the two tables are read and updated, for --check-config.
--
-- $1, $2  the tables of reservations and of counters, quoted as in SQL
-- Answer, a row for each:
--   sees, moves  there is a policy that lets this role see rows, and one that lets it update them
--   policies     those, by name
--   triggers     that an UPDATE fires, also those of its parts, by name
--   rules        of UPDATE, by name
--   filled       it has pages: if no rows, then it had
WITH RECURSIVE tables AS (
    SELECT u.n, pg_catalog.to_regclass(u.tab)::pg_catalog.oid AS tab
      FROM pg_catalog.unnest(ARRAY[$1::pg_catalog.text, $2::pg_catalog.text]) WITH ORDINALITY AS u (tab, n)
), family (n, tab) AS (
    SELECT t.n, t.tab FROM tables t
     UNION
    SELECT f.n, h.inhrelid FROM family f JOIN pg_catalog.pg_inherits h ON h.inhparent = f.tab
)
SELECT coalesce(p.sees, false), coalesce(p.moves, false), p.names,
       (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(g.tgname), ', ')
          FROM family f JOIN pg_catalog.pg_trigger g ON g.tgrelid = f.tab
         WHERE f.n = t.n AND NOT g.tgisinternal AND g.tgenabled IN ('O', 'A')
           AND g.tgtype & 16 <> 0) AS triggers,
       (SELECT pg_catalog.string_agg(DISTINCT pg_catalog.quote_ident(w.rulename), ', ')
          FROM family f JOIN pg_catalog.pg_rewrite w ON w.ev_class = f.tab
         WHERE f.n = t.n AND w.ev_type = '2' AND w.ev_enabled IN ('O', 'A')) AS rules,
       (SELECT pg_catalog.sum(pg_catalog.pg_relation_size(f.tab)) > 0 FROM family f WHERE f.n = t.n) AS filled
  FROM tables t
  LEFT JOIN LATERAL (
    SELECT pg_catalog.bool_or(p.polcmd IN ('*', 'r')) AS sees, pg_catalog.bool_or(p.polcmd IN ('*', 'w')) AS moves,
           pg_catalog.string_agg(pg_catalog.quote_ident(p.polname), ', ' ORDER BY p.polname) AS names
      FROM pg_catalog.pg_policy p
     WHERE p.polrelid = t.tab AND p.polpermissive
       AND EXISTS (SELECT FROM pg_catalog.unnest(p.polroles) AS u (role)
                    WHERE CASE WHEN u.role = 0 THEN true
                               ELSE pg_catalog.pg_has_role(u.role, 'USAGE') END)) p ON true
 ORDER BY t.n

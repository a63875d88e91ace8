-- Where a function of the shop's makes the release (`call`): hands it what sql/release.sql has locked and
-- found to be due, behind that in its transaction.
--
-- $1  the ids, an array in text form
-- Answer: one row for each id that the function released
--   n      its position in $1, from 1
--   asked, noted  of no interest
--
-- The function gets one array, of the ids' own type, and is not called with an empty one. What it gives
-- back, rows or an array, is read as JSON, which is the same of both. What it was not asked for, NULL too,
-- fails the transaction by a cast that cannot succeed (release.c reads its sentence).
-- Whether a row is active afterwards only a later statement sees: sql/release_check.sql, which is told here
-- what was released.
WITH rs$taken AS MATERIALIZED (
    SELECT a.rs$n, a.rs$id
      FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (rs$id, rs$n)
     WHERE a.rs$n IN (SELECT t.rs$n::bigint
                        FROM pg_catalog.jsonb_array_elements_text(
                             pg_catalog.current_setting('reservation_sweeper.taken')::pg_catalog.jsonb) AS t (rs$n))
), rs$called AS MATERIALIZED (
    SELECT pg_catalog.to_jsonb({call}(l.rs$ids)) AS rs$given
      FROM (SELECT pg_catalog.array_agg(t.rs$id::{id_exact} ORDER BY t.rs$n) AS rs$ids FROM rs$taken t) l
     WHERE l.rs$ids IS NOT NULL
), rs$given AS MATERIALIZED (
    SELECT DISTINCT e.rs$text, t.rs$n
      FROM rs$called c
     CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(
           CASE pg_catalog.jsonb_typeof(c.rs$given) WHEN 'array' THEN c.rs$given
                ELSE pg_catalog.jsonb_build_array(c.rs$given) END) AS e (rs$text)
      LEFT JOIN rs$taken t ON t.rs$id = e.rs$text::{id_type}
)
SELECT g.rs$n AS n,
       CASE WHEN g.rs$n IS NULL
            THEN pg_catalog.concat('<sweeper row>queue ', {queue_text}, ': the function of `call` gave back ',
                                   coalesce(pg_catalog.quote_literal(g.rs$text), 'NULL'),
                                   ', which is none of the ids that it was asked for</sweeper>')::integer
             END AS asked,
       (SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.released',
        pg_catalog.jsonb_build_object('rows', pg_catalog.jsonb_agg(x.rs$n), 'counters', '[]'::pg_catalog.jsonb)::pg_catalog.text,
        true)) FROM rs$given x) AS noted
  FROM rs$given g

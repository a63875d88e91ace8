-- After sql/release.sql, in its transaction, where triggers or rules of the shop's may have changed
-- again what it changed: it fails, as that does, when a released reservation has an active row, or
-- a counter is not what the release made of it. What somebody else committed meanwhile is not seen:
-- rows and counters are locked.
--
-- $1  the ids, an array in text form
-- Answer: no row
--
-- What the release noted (`noted` there) is a setting of the transaction: rows, the
-- positions in $1 of what was released; counters, of each the product and its new values.
WITH note AS MATERIALIZED (
    SELECT pg_catalog.current_setting('reservation_sweeper.released')::pg_catalog.jsonb AS told
)
SELECT ('<sweeper ' || w.what || '</sweeper>')::integer
  FROM (
    SELECT 'row>a row of product ' || coalesce(v.product_id::pg_catalog.text, 'NULL') || ' is active after the'
           || ' release: a trigger or a rule of the shop''s has made it so' AS what
      FROM note
     CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(note.told -> 'rows') AS t (n)
      JOIN pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n) ON a.n = t.n::bigint
     CROSS JOIN LATERAL (
        SELECT r.{product_id} AS product_id, r.{status} = {active} AS active
          FROM {reservations} r
         WHERE r.{id} = a.id
        OFFSET 0) v
     WHERE v.active
    UNION ALL
    SELECT 'counter>the counter of product ' || (t.c ->> 0) || ' was changed again after the'
           || ' release: a trigger or a rule of the shop''s moves it too'
      FROM note
     CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(note.told -> 'counters') AS t (c)
     CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) AS rows, pg_catalog.bool_and(i.{available_stock} = (t.c ->> 1)::numeric
                                          AND i.{reserved_stock} = (t.c ->> 2)::numeric) AS adds_up
          FROM {inventory} i
         WHERE i.{stock_product_id} = (t.c ->> 0)::{stock_product_type}
        OFFSET 0) v
     WHERE (v.rows = 1 AND v.adds_up) IS NOT TRUE
  ) w
 LIMIT 1

-- Which products some reservations are of: asked when Postgres has refused one of them.
--
-- $1  the ids, an array in text form
-- Answer: for each active row's product, the position of the id in $1 from 1, and the product
--
-- One look-up by key for each id, and by nothing else: with its conditions inside, the planner might
-- read an index of all active rows for each of a few hundred ids.
SELECT DISTINCT a.n, v.product_id::pg_catalog.text
  FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
 CROSS JOIN LATERAL (
    SELECT r.{product_id} AS product_id, r.{status} AS status
      FROM {reservations} r
     WHERE {typed} AND r.{id} = a.id
    OFFSET 0) v
 WHERE v.status = {active} AND v.product_id IS NOT NULL

-- Which products some reservations are of: asked when Postgres has refused one of them.
--
-- $1  the ids, an array in text form
-- Answer: for each active row's product, the position of the id in $1 from 1, and the product
--
-- One look-up by key for each id: the planner must not read the table for a few hundred of them.
SELECT a.n, v.product_id::text
  FROM unnest($1::{id_type}[]) WITH ORDINALITY AS a (id, n)
 CROSS JOIN LATERAL (
    SELECT DISTINCT r.{product_id} AS product_id
      FROM {reservations} r
     WHERE r.{id} = a.id AND r.{status} = {active} AND r.{product_id} IS NOT NULL
    OFFSET 0) v

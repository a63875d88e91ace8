-- Products that have several counters, for --check-config: asked when no unique index forbids it.
--
-- Answer, at most three rows, worst first: the product, how many counters
SELECT pg_catalog.left(i.{stock_product_id}::pg_catalog.text, 80), pg_catalog.count(*)
  FROM {inventory} i
 WHERE i.{stock_product_id} IS NOT NULL
 GROUP BY i.{stock_product_id}
HAVING pg_catalog.count(*) > 1
 ORDER BY 2 DESC, 1
 LIMIT 3

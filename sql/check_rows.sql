-- What the active rows are like, for --check-config.
--
-- Answer, one row: active rows; of these without a quantity that can be given back, without an expiry,
--   and of a product that has no counter (that this role sees)
SELECT pg_catalog.count(*),
       pg_catalog.count(*) FILTER (WHERE ({quantity} - {quantity} = 0) IS NOT TRUE),
       pg_catalog.count(*) FILTER (WHERE r.{expires_at} IS NULL),
       pg_catalog.count(*) FILTER (WHERE NOT EXISTS (SELECT FROM {inventory} i
                                           WHERE i.{stock_product_id} = r.{product_id}))
  FROM {reservations} r
 WHERE r.{status} = 'active'

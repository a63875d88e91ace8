-- Holds one product's counters, so that no checkout moves them until the transaction ends.
--
-- $1  the product
-- Answer: available, reserved, total (NULL: no such column); no row when the product is gone
SELECT {available_stock}, {reserved_stock}, {total}
  FROM {inventory}
 WHERE {stock_product_id} = $1
   FOR NO KEY UPDATE

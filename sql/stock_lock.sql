-- Holds one product's counters, so that no checkout moves them until the transaction ends: where
-- sql/stock.sql compares them.
--
-- $1  the product
-- Answer: available, reserved, total (NULL: no such column); no row when the product is gone
{lock}

--@ lock if counters !composite free held
SELECT c.rs$available, c.rs$reserved, c.rs$total
  FROM (SELECT {counter_keys}, i.{free} AS rs$available,
               i.{held} AS rs$reserved, {total} AS rs$total
          FROM {inventory} i) c
 WHERE c.rs$k1 = $1
   FOR NO KEY UPDATE

--@ lock

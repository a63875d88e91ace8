-- Holds the counter of one key, so that no checkout moves it until the transaction ends: where sql/stock.sql
-- compares counters.
--
-- $1 ...  the key, a parameter for each of its columns
-- Answer: what is free, held and in total (NULL: no such column); no row when the counter is gone
{lock}

--@ lock if counters held
SELECT c.rs$free, c.rs$held, c.rs$total
  FROM (SELECT {counter_keys}, {free_of_i} AS rs$free, i.{held} AS rs$held, {total} AS rs$total
          FROM {inventory} i) c
 WHERE ({c_k}) = ({params})
   FOR NO KEY UPDATE

--@ lock

-- What the holds of one queue add to the sums of counters: a part of sql/stock.sql and sql/stock_repair.sql,
-- once for each of the queues that share them. Each has its own way to a counter's key, by columns of whatever
-- type can be compared with the counter's: so sums are by the counters' own.
{sum}

--@ sum if one_key
SELECT h.rs$units
  FROM ({counted_holds}) h
  JOIN rs$stock s ON ({h_k}) = ({s_k})

--@ sum
SELECT {p_k}, v.rs$units, v.rs$known
  FROM rs$page p
  JOIN (SELECT {h_k}, pg_catalog.sum(h.rs$units) AS rs$units,
               pg_catalog.bool_and((h.rs$units - h.rs$units = 0) IS TRUE) AS rs$known
          FROM ({counted_holds}) h
         WHERE h.rs$k1 >= (SELECT p.rs$k1 FROM rs$page p ORDER BY p.rs$k1 LIMIT 1)
           AND h.rs$k1 <= (SELECT p.rs$k1 FROM rs$page p ORDER BY p.rs$k1 DESC LIMIT 1)
         GROUP BY {h_k}) v ON ({v_k}) = ({p_k})

--@ counted_holds
SELECT {hold_keys}, {quantity} AS rs$units
  FROM {reservations} r
 WHERE {counted}{and_typed}{once}

--@ and_typed if sharer
-- Nobody has asked the catalog for the types of another queue's table.

--@ and_typed
AND {typed}

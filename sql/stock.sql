-- A page of stock counters, compared with the reservations in one snapshot: where a counter has one key, and
-- says both what is available and what is reserved. Else there is nothing to ask.
--
-- $1  only products after this one, the end of the last page; NULL: from the first
-- $2  at most so many products
-- Answer: products in this page, the last of them; then, on a row for each product whose counter
--   drifted (one row without, when none did): product, available, reserved, total (NULL: no such
--   column), the sum of its active reservations, how many rows its counter has (more than one: their
--   sums), and whether the sum is a number (a quantity may be NULL or NaN)
{stock}

--@ stock if counters !composite free held
WITH rs$page AS MATERIALIZED (
    SELECT c.rs$k1, pg_catalog.sum(c.rs$available) AS available,
           pg_catalog.sum(c.rs$reserved) AS reserved, pg_catalog.sum(c.rs$total) AS total,
           pg_catalog.count(*) AS counters
      FROM (SELECT {counter_keys}, i.{free} AS rs$available,
                   i.{held} AS rs$reserved, {total} AS rs$total
              FROM {inventory} i) c
     WHERE c.rs$k1 > $1 OR $1 IS NULL
     GROUP BY c.rs$k1
     ORDER BY c.rs$k1
     LIMIT $2::int
), rs$sums AS MATERIALIZED (
    SELECT h.rs$k1, pg_catalog.sum(h.rs$units) AS units,
           pg_catalog.bool_and((h.rs$units - h.rs$units = 0) IS TRUE) AS known
      FROM (SELECT {hold_keys}, {quantity} AS rs$units
              FROM {reservations} r
             WHERE {typed}
               AND {active}) h
     WHERE h.rs$k1 >= (SELECT p.rs$k1 FROM rs$page p ORDER BY p.rs$k1 LIMIT 1)
       AND h.rs$k1 <= (SELECT p.rs$k1 FROM rs$page p ORDER BY p.rs$k1 DESC LIMIT 1)
     GROUP BY h.rs$k1
)
SELECT a.n, a.last, d.*
  FROM (SELECT pg_catalog.count(*) AS n,
               (SELECT p.rs$k1::pg_catalog.text FROM rs$page p ORDER BY p.rs$k1 DESC LIMIT 1) AS last
          FROM rs$page) a
  LEFT JOIN (
    SELECT p.rs$k1::pg_catalog.text, p.available, p.reserved, p.total,
           coalesce(s.units, 0), p.counters, coalesce(s.known, true)
      FROM rs$page p
      LEFT JOIN rs$sums s ON s.rs$k1 = p.rs$k1
     WHERE p.reserved IS DISTINCT FROM coalesce(s.units, 0)
        OR p.available IS NULL OR p.available + p.reserved <> p.total
        OR p.counters > 1 OR NOT s.known) d ON true

--@ stock

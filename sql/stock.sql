-- A page of stock counters, compared with the reservations in one snapshot.
--
-- $1  only products after this one, the end of the last page; NULL: from the first
-- $2  at most so many products
-- Answer: products in this page, the last of them; then, on a row for each product whose counter
--   drifted (one row without, when none did): product, available, reserved, total (NULL: no such
--   column), the sum of its active reservations, how many rows its counter has (more than one: their
--   sums), and whether the sum is a number (a quantity may be NULL or NaN)
WITH page AS MATERIALIZED (
    SELECT {stock_product_id} AS product_id, pg_catalog.sum({available_stock}) AS available,
           pg_catalog.sum({reserved_stock}) AS reserved, pg_catalog.sum({total}) AS total,
           pg_catalog.count(*) AS counters
      FROM {inventory}
     WHERE {stock_product_id} > $1 OR $1 IS NULL
     GROUP BY {stock_product_id}
     ORDER BY {stock_product_id}
     LIMIT $2::int
), sums AS MATERIALIZED (
    SELECT r.{product_id} AS product_id, pg_catalog.sum(r.{quantity}) AS units,
           pg_catalog.bool_and((r.{quantity} - r.{quantity} = 0) IS TRUE) AS known
      FROM {reservations} r
     WHERE {typed}
       AND r.{status} = {active}
       AND r.{product_id} >= (SELECT p.product_id FROM page p ORDER BY p.product_id LIMIT 1)
       AND r.{product_id} <= (SELECT p.product_id FROM page p ORDER BY p.product_id DESC LIMIT 1)
     GROUP BY r.{product_id}
)
SELECT a.n, a.last, d.*
  FROM (SELECT pg_catalog.count(*) AS n,
               (SELECT p.product_id::pg_catalog.text FROM page p ORDER BY p.product_id DESC LIMIT 1)
                   AS last
          FROM page) a
  LEFT JOIN (
    SELECT p.product_id::pg_catalog.text, p.available, p.reserved, p.total,
           coalesce(s.units, 0), p.counters, coalesce(s.known, true)
      FROM page p
      LEFT JOIN sums s ON s.product_id = p.product_id
     WHERE p.reserved IS DISTINCT FROM coalesce(s.units, 0)
        OR p.available IS NULL OR p.available + p.reserved <> p.total
        OR p.counters > 1 OR NOT s.known) d ON true

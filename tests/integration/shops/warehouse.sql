--@ fill
-- Each order has two or three rows. Of every seventh one is confirmed already: that order does not expire.
-- Of an order without an end one row has none; the others are past their time.
INSERT INTO inventory_stocks SELECT v, w, 9000, 0, '2020-01-01' FROM generate_series(1, 4) AS v, generate_series(1, 3) AS w;
CREATE TEMP TABLE placed AS SELECT row_number() OVER () AS id, kind, i, due FROM wanted;
INSERT INTO orders (status, updated_at)
SELECT CASE kind WHEN 'ended' THEN 'PAID' ELSE 'PENDING' END, '2020-01-01' FROM placed ORDER BY id;
INSERT INTO inventory_reservations
SELECT id, 1 + (id + k) % 4, 1 + k, 1 + id % 2,
       CASE WHEN kind = 'ended' OR (k = 0 AND id % 7 = 0) THEN 'CONFIRMED' ELSE 'RESERVED' END,
       CASE WHEN due IS NOT NULL OR k > 0 THEN coalesce(due, now()) AT TIME ZONE 'UTC' - k * interval '1 hour' END,
       '2020-01-01'
  FROM placed, generate_series(0, 1 + id % 2) AS k;
UPDATE inventory_stocks AS s SET quantity_reserved = held
  FROM (SELECT variant_id, warehouse_id, sum(reserved_quantity) AS held
          FROM inventory_reservations GROUP BY 1, 2) AS r
 WHERE (r.variant_id, r.warehouse_id) = (s.variant_id, s.warehouse_id);

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM inventory_reservations
     WHERE reservation_status = 'RESERVED'
       AND order_id IN (SELECT order_id FROM inventory_reservations WHERE reservation_status = 'RESERVED'
                         GROUP BY 1 HAVING max(coalesce(expires_at, 'infinity')) < (now() + interval '1 minute') AT TIME ZONE 'UTC');
UPDATE inventory_reservations SET reservation_status = 'RELEASED', updated_at = now()
 WHERE (order_id, variant_id, warehouse_id) IN (SELECT order_id, variant_id, warehouse_id FROM gone);
UPDATE inventory_stocks AS s SET quantity_reserved = quantity_reserved - units, updated_at = now()
  FROM (SELECT variant_id, warehouse_id, sum(reserved_quantity) AS units FROM gone GROUP BY 1, 2) AS g
 WHERE (g.variant_id, g.warehouse_id) = (s.variant_id, s.warehouse_id);
UPDATE orders SET status = 'EXPIRED', updated_at = now()
 WHERE id IN (SELECT order_id FROM gone)
   AND id NOT IN (SELECT order_id FROM inventory_reservations WHERE reservation_status <> 'RELEASED');

--@ left
SELECT count(*) FROM (
    SELECT FROM inventory_reservations WHERE reservation_status = 'RESERVED' GROUP BY order_id
    HAVING max(coalesce(expires_at, 'infinity')) < (now() + interval '1 minute') AT TIME ZONE 'UTC'
) AS o

--@ wrong
SELECT variant_id, warehouse_id FROM inventory_stocks AS s
 WHERE quantity_reserved <> (SELECT coalesce(sum(reserved_quantity), 0) FROM inventory_reservations AS r
                              WHERE (r.variant_id, r.warehouse_id) = (s.variant_id, s.warehouse_id)
                                AND reservation_status IN ('RESERVED', 'CONFIRMED'))
UNION ALL
SELECT id, 0 FROM orders AS o
 WHERE (status = 'EXPIRED') <> NOT EXISTS (SELECT FROM inventory_reservations
                                            WHERE order_id = o.id AND reservation_status <> 'RELEASED')
UNION ALL
SELECT order_id, 1 FROM inventory_reservations GROUP BY order_id
HAVING count(*) FILTER (WHERE reservation_status = 'RELEASED') > 0
   AND count(*) FILTER (WHERE reservation_status = 'RESERVED') > 0

--@ early
SELECT order_id FROM inventory_reservations WHERE reservation_status = 'RELEASED'
 GROUP BY order_id HAVING min(pg_xact_commit_timestamp(xmin)) < max(expires_at) AT TIME ZONE 'UTC'

--@ new
inventory_reservations.updated_at inventory_stocks.updated_at orders.updated_at

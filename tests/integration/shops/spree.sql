--@ fill
INSERT INTO spree_stock_reservations (line_item_id, order_id, quantity, expires_at)
SELECT 1000000 + row_number() OVER (), i / 2, 1 + i % 3, due AT TIME ZONE 'UTC'
  FROM wanted WHERE due IS NOT NULL AND kind <> 'ended';

--@ release
WITH gone AS (
    DELETE FROM spree_stock_reservations
     WHERE expires_at < (now() + interval '1 minute') AT TIME ZONE 'UTC' RETURNING *
)
INSERT INTO spree_outbox (event, payload)
SELECT 'stock_reservation.expired',
       jsonb_build_object('id', id, 'order_id', order_id, 'line_item_id', line_item_id, 'quantity', quantity,
                          'expires_at', expires_at)
  FROM gone;

--@ left
SELECT count(*) FROM spree_stock_reservations WHERE expires_at < (now() + interval '1 minute') AT TIME ZONE 'UTC'

--@ wrong
SELECT payload ->> 'id' FROM spree_outbox GROUP BY 1 HAVING count(*) > 1
UNION ALL
SELECT payload ->> 'id' FROM spree_outbox WHERE (payload ->> 'id')::bigint IN (SELECT id FROM spree_stock_reservations)

--@ early
SELECT id FROM spree_outbox
 WHERE pg_xact_commit_timestamp(xmin) < (payload ->> 'expires_at')::timestamp AT TIME ZONE 'UTC'

--@ new
spree_outbox.id spree_outbox.created_at

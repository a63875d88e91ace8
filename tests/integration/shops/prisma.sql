--@ fill
INSERT INTO variant_inventory SELECT 'v' || v, 9000, 0, 9000, '2020-01-01' FROM generate_series(0, 9) AS v;
INSERT INTO inventory_reservations (id, "variantId", quantity, status, "expiresAt", "createdAt", "updatedAt")
SELECT kind || i, 'v' || i % 10, 1 + i % 3,
       (CASE WHEN kind <> 'ended' THEN 'ACTIVE' WHEN i % 2 = 0 THEN 'COMMITTED' ELSE 'RELEASED' END)::"ReservationStatus",
       due AT TIME ZONE 'UTC', '2020-01-01', '2020-01-01'
  FROM wanted;
UPDATE variant_inventory AS v SET "reservedQuantity" = held, "availableQuantity" = 9000 - held
  FROM (SELECT "variantId", sum(quantity) AS held FROM inventory_reservations
         WHERE status = 'ACTIVE' GROUP BY 1) AS r
 WHERE r."variantId" = v."variantId";
UPDATE variant_inventory SET quantity = "reservedQuantity", "availableQuantity" = 0 WHERE "variantId" < 'v5';

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM inventory_reservations
     WHERE status = 'ACTIVE' AND "expiresAt" < (now() + interval '1 minute') AT TIME ZONE 'UTC';
INSERT INTO back_in_stock ("variantId")
SELECT DISTINCT g."variantId" FROM gone AS g JOIN variant_inventory AS v ON v."variantId" = g."variantId"
 WHERE v."availableQuantity" = 0;
UPDATE inventory_reservations
   SET status = 'EXPIRED', "releasedAt" = now(), "releasedBy" = 'reservation-sweeper',
       "releaseReason" = 'expired', "updatedAt" = now()
 WHERE id IN (SELECT id FROM gone);
UPDATE variant_inventory AS v
   SET "reservedQuantity" = "reservedQuantity" - units, "availableQuantity" = "availableQuantity" + units,
       "updatedAt" = now()
  FROM (SELECT "variantId", sum(quantity) AS units FROM gone GROUP BY 1) AS g
 WHERE g."variantId" = v."variantId";
INSERT INTO inventory_ledger ("variantId", "changeType", quantity, "referenceId")
SELECT "variantId", 'RESERVATION_EXPIRED', quantity, id FROM gone;

--@ left
SELECT count(*) FROM inventory_reservations
 WHERE status = 'ACTIVE' AND "expiresAt" < (now() + interval '1 minute') AT TIME ZONE 'UTC'

--@ wrong
SELECT "variantId" FROM variant_inventory AS v
 WHERE quantity <> "reservedQuantity" + "availableQuantity"
    OR "reservedQuantity" <> (SELECT coalesce(sum(quantity), 0) FROM inventory_reservations AS r
                               WHERE r."variantId" = v."variantId" AND status = 'ACTIVE')
UNION ALL
SELECT id FROM inventory_reservations AS r
 WHERE (status = 'EXPIRED')::integer <> (SELECT count(*) FROM inventory_ledger WHERE "referenceId" = r.id)
UNION ALL
SELECT "variantId" FROM back_in_stock GROUP BY 1 HAVING count(*) > 1

--@ early
SELECT id FROM inventory_reservations
 WHERE status = 'EXPIRED' AND pg_xact_commit_timestamp(xmin) < "expiresAt" AT TIME ZONE 'UTC'

--@ new
inventory_reservations.releasedAt inventory_reservations.updatedAt variant_inventory.updatedAt
inventory_ledger.id inventory_ledger.createdAt back_in_stock.at

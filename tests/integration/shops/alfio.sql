--@ fill
INSERT INTO promo_code SELECT c, 0 FROM generate_series(0, 4) AS c;
INSERT INTO tickets_reservation (id, validity, status, promo_code_id)
SELECT md5(kind || i)::uuid::text, due, CASE kind WHEN 'ended' THEN 'COMPLETE' ELSE 'PENDING' END,
       CASE WHEN i % 3 = 0 THEN i % 5 END
  FROM wanted WHERE due IS NOT NULL;
INSERT INTO ticket (event_id, status, full_name, tickets_reservation_id)
SELECT 1 + n % 2, CASE r.status WHEN 'COMPLETE' THEN 'ACQUIRED' ELSE 'PENDING' END, 'Ann', r.id
  FROM tickets_reservation r, generate_series(1, 1 + ascii(r.id) % 3) AS n;
INSERT INTO ticket (event_id) SELECT 1 FROM generate_series(1, 7);
UPDATE promo_code SET used = (SELECT count(*) FROM tickets_reservation WHERE promo_code_id = promo_code.id);

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM tickets_reservation WHERE status = 'PENDING' AND validity < now() + interval '1 minute';
INSERT INTO reservation_history
    SELECT id, (SELECT count(*) FROM ticket WHERE tickets_reservation_id = gone.id), validity, now() FROM gone;
UPDATE ticket SET status = 'FREE', full_name = NULL, tickets_reservation_id = NULL
 WHERE tickets_reservation_id IN (SELECT id FROM gone);
UPDATE promo_code SET used = used - (SELECT count(*) FROM gone WHERE promo_code_id = promo_code.id);
DELETE FROM tickets_reservation WHERE id IN (SELECT id FROM gone);

--@ left
SELECT count(*) FROM tickets_reservation WHERE status = 'PENDING' AND validity < now() + interval '1 minute'

--@ wrong
SELECT id::text FROM promo_code
 WHERE used <> (SELECT count(*) FROM tickets_reservation WHERE promo_code_id = promo_code.id)
UNION ALL
SELECT 'ticket ' || id FROM ticket WHERE (status = 'FREE') <> (tickets_reservation_id IS NULL)
UNION ALL
SELECT reservation_id FROM reservation_history GROUP BY 1 HAVING count(*) > 1

--@ early
SELECT reservation_id FROM reservation_history WHERE pg_xact_commit_timestamp(xmin) < validity

--@ new
reservation_history.expired_at

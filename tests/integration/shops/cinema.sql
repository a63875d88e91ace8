--@ fill
INSERT INTO reservations (status, expires_at)
SELECT CASE kind WHEN 'ended' THEN 'CONFIRMED' ELSE 'PENDING' END, due FROM wanted WHERE due IS NOT NULL;
INSERT INTO showtime_seat_status
SELECT 1 + r.id % 4, r.id * 3 + s, CASE status WHEN 'PENDING' THEN 'HELD' ELSE 'SOLD' END, r.id
  FROM reservations AS r, generate_series(0, r.id % 3) AS s
UNION ALL
SELECT 9, s, 'AVAILABLE', NULL FROM generate_series(1, 5) AS s;

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT id FROM reservations WHERE status = 'PENDING' AND expires_at < now() + interval '1 minute';
UPDATE reservations SET status = 'EXPIRED' WHERE id IN (SELECT id FROM gone);
UPDATE showtime_seat_status SET status = 'AVAILABLE', held_by_reservation_id = NULL
 WHERE held_by_reservation_id IN (SELECT id FROM gone);

--@ left
SELECT count(*) FROM reservations WHERE status = 'PENDING' AND expires_at < now() + interval '1 minute'

--@ wrong
SELECT seat_id FROM showtime_seat_status AS s LEFT JOIN reservations AS r ON r.id = s.held_by_reservation_id
 WHERE s.status <> CASE coalesce(r.status, '') WHEN '' THEN 'AVAILABLE' WHEN 'PENDING' THEN 'HELD'
                                               WHEN 'CONFIRMED' THEN 'SOLD' ELSE 'none' END

--@ early
SELECT id FROM reservations WHERE status = 'EXPIRED' AND pg_xact_commit_timestamp(xmin) < expires_at

--@ new

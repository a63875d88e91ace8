--@ fill
INSERT INTO departures SELECT d, 9000, 0 FROM generate_series(0, 9) AS d;
INSERT INTO bookings (departure_id, seats, state, created_at)
SELECT i % 10, 1 + i % 3, CASE kind WHEN 'ended' THEN 'booked' ELSE 'pending' END,
       (due - interval '15 minutes') AT TIME ZONE 'Europe/Berlin'
  FROM wanted WHERE due IS NOT NULL
UNION ALL -- made just now, in the middle of its time, at its end by a clock an hour ahead
SELECT 1, 1, 'pending', (now() - age) AT TIME ZONE 'Europe/Berlin'
  FROM unnest('{0, 7 minutes, -45 minutes}'::interval[]) AS age;
UPDATE departures SET seats_taken = (SELECT coalesce(sum(seats), 0) FROM bookings WHERE departure_id = departures.id);

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM bookings WHERE state = 'pending'
       AND created_at AT TIME ZONE 'Europe/Berlin' < now() - interval '14 minutes';
UPDATE bookings SET state = 'lapsed' WHERE id IN (SELECT id FROM gone);
UPDATE departures AS d SET seats_taken = seats_taken - taken
  FROM (SELECT departure_id, sum(seats) AS taken FROM gone GROUP BY 1) AS g WHERE g.departure_id = d.id;

--@ left
SELECT count(*) FROM bookings
 WHERE state = 'pending' AND created_at AT TIME ZONE 'Europe/Berlin' < now() - interval '14 minutes'

--@ wrong
SELECT id FROM departures
 WHERE seats_taken <> (SELECT coalesce(sum(seats), 0) FROM bookings
                        WHERE departure_id = departures.id AND state <> 'lapsed')

--@ early
SELECT id FROM bookings WHERE state = 'lapsed'
   AND pg_xact_commit_timestamp(xmin) < created_at AT TIME ZONE 'Europe/Berlin' + interval '15 minutes'

--@ new

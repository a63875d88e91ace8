--@ fill
-- Those that are being paid for are past their time too.
INSERT INTO tickets (raffle_id, number, status, reserved_by, reserved_until)
SELECT 1 + i % 3, row_number() OVER (), (CASE kind WHEN 'ended' THEN 'sold' ELSE 'reserved' END)::ticket_status,
       'somebody ' || i, due
  FROM wanted
UNION ALL
SELECT 1, 100000 + i, 'reserved', 'a payer', now() - interval '1 hour' FROM generate_series(1, 5) AS i
UNION ALL
SELECT 1, 200000 + i, 'available', NULL, NULL FROM generate_series(1, 5) AS i;
INSERT INTO payments (ticket_id) SELECT id FROM tickets WHERE reserved_by = 'a payer';
INSERT INTO payments (ticket_id, state) SELECT id, 'failed' FROM tickets WHERE number % 4 = 0 AND status = 'reserved'
   AND reserved_by <> 'a payer';

--@ release
INSERT INTO lost_tickets
SELECT id, raffle_id, reserved_by, reserved_until FROM tickets
 WHERE status = 'reserved' AND reserved_by <> 'a payer' AND reserved_until < now() + interval '1 minute';
UPDATE tickets SET status = 'available', reserved_by = NULL, reserved_until = NULL
 WHERE id IN (SELECT ticket_id FROM lost_tickets);

--@ left
SELECT count(*) FROM tickets
 WHERE status = 'reserved' AND reserved_by <> 'a payer' AND reserved_until < now() + interval '1 minute'

--@ wrong
SELECT id FROM tickets WHERE (status = 'available') <> (reserved_by IS NULL)
UNION ALL
SELECT ticket_id FROM lost_tickets GROUP BY 1 HAVING count(*) > 1
UNION ALL
SELECT ticket_id FROM lost_tickets WHERE reserved_by = 'a payer'

--@ early
SELECT ticket_id FROM lost_tickets WHERE pg_xact_commit_timestamp(xmin) < reserved_until

--@ new

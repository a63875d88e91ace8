--@ fill
INSERT INTO ticket_types SELECT t, 9000 FROM generate_series(0, 9) AS t;
INSERT INTO ticket_holds (ticket_type_id, quantity, status, expires_at)
SELECT i % 10, 1 + i % 3, CASE kind WHEN 'ended' THEN 'paid' ELSE 'held' END, due FROM wanted WHERE due IS NOT NULL;
UPDATE ticket_types SET remaining = 9000 - (SELECT coalesce(sum(quantity), 0) FROM ticket_holds
                                             WHERE ticket_type_id = ticket_types.id);

--@ release
-- The triggers restock, and write the history, here too.
SET LOCAL concert.actor = 'reservation-sweeper';
UPDATE ticket_holds SET status = 'expired' WHERE status = 'held' AND expires_at < now() + interval '1 minute';

--@ left
SELECT count(*) FROM ticket_holds WHERE status = 'held' AND expires_at < now() + interval '1 minute'

--@ wrong
SELECT id FROM ticket_types
 WHERE remaining <> 9000 - (SELECT coalesce(sum(quantity), 0) FROM ticket_holds
                             WHERE ticket_type_id = ticket_types.id AND status <> 'expired')

--@ early
SELECT id FROM ticket_holds WHERE status = 'expired' AND pg_xact_commit_timestamp(xmin) < expires_at

--@ new
ticket_history.changed_at

-- What a rehearsal begins with (src/release/rehearsal.c): keeps the holds and counters that the release will
-- change, as they are before it, in a setting of the transaction.
--
-- $1  the ids, an array in text form
-- Answer: one row, of no interest
SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.rehearsed', pg_catalog.jsonb_build_object(
           'holds', (SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r.*)), '[]')
                       FROM {reservations} r
                      WHERE r.{id} = ANY ($1::{id_type}[])),
           'counters', {counters})::pg_catalog.text, true))

--@ counters if counters
(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.to_jsonb(i.*)), '[]')
   FROM (SELECT DISTINCT {m_k}
           FROM (SELECT {hold_keys} FROM {reservations} r WHERE r.{id} = ANY ($1::{id_type}[])) m) m
   JOIN {inventory} i ON {i_is_m})

--@ counters
'[]'::pg_catalog.jsonb

-- After sql/release.sql, in its transaction, where triggers or rules of the shop's, or statements of
-- `also`, may have changed again what it changed: it fails, as that does, when a released reservation has an active row, or
-- a counter is not what the release made of it. What somebody else committed meanwhile is not seen:
-- rows and counters are locked.
--
-- $1  the ids, an array in text form
-- Answer: no row
--
-- What the release noted (`changes_noted` there) is a setting of the transaction: rows, the
-- positions in $1 of what was released; counters, of each its new values (free, held), then its key. Of
-- tables without triggers and rules there are none: what `also` does to a counter is the operator's word.
WITH rs$note AS MATERIALIZED (
    SELECT pg_catalog.current_setting('reservation_sweeper.released')::pg_catalog.jsonb AS rs$told
)
SELECT ('<sweeper ' || w.what || '</sweeper>')::integer
  FROM (
    SELECT 'row>queue ' || {queue_text} || {active_again} || {of_the_key} AS what
      FROM rs$note
     CROSS JOIN LATERAL pg_catalog.jsonb_array_elements_text(rs$note.rs$told -> 'rows') AS t (rs$n)
      JOIN pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS a (rs$id, rs$n) ON a.rs$n = t.rs$n::bigint
     CROSS JOIN LATERAL (
        SELECT {keys_of_r} {active} AS rs$active
          FROM {reservations} r
         WHERE r.{id} = a.rs$id
        OFFSET 0) v
     WHERE v.rs$active
    {or_counters_again}
  ) w
 LIMIT 1

--@ active_again if deletes
': a row of the id is active after it was deleted: ' || {by_whom} || ' has put it there'

--@ active_again if calls
': a row of an id that the function of `call` gave back is still active'

--@ active_again
': the row is still active after `released`: ' || {by_whom} || ' has made it so'

--@ by_whom if also
'a statement of `also`, a trigger or a rule of the shop''s'

--@ by_whom
'a trigger or a rule of the shop''s'

--@ of_the_key if counters
' (product ' || coalesce({v_key_text}, 'NULL') || ')'

--@ of_the_key
-- Of a constant the cast would fail when it is planned.
CASE WHEN v.rs$active THEN '' END

--@ or_counters_again if counters
UNION ALL
    SELECT 'counter>the counter of product ' || {m_key_text} || ' was changed again after the'
           || ' release: a trigger or a rule of the shop''s moves it too'
      FROM rs$note
     CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(rs$note.rs$told -> 'counters') AS t (c)
     CROSS JOIN LATERAL (SELECT {told_keys}) m
     CROSS JOIN LATERAL (
        SELECT pg_catalog.count(*) AS rs$rows, pg_catalog.bool_and({free_as_told} AND {held_as_told}) AS rs$adds_up
          FROM {inventory} i
         WHERE {i_is_m}
        OFFSET 0) v
     WHERE (v.rs$rows = 1 AND v.rs$adds_up) IS NOT TRUE

--@ or_counters_again

--@ free_as_told if free
i.{free} = (t.c ->> 0)::numeric

--@ free_as_told
true

--@ held_as_told if held
i.{held} = (t.c ->> 1)::numeric

--@ held_as_told
true

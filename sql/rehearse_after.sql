-- What a rehearsal ends with: what sql/rehearse_before.sql kept, beside what is there now.
--
-- $1  the ids, an array in text form
-- Answer, a row for each column that has changed, one for a hold or counter of which none has:
--   counter       whether it is a counter
--   name          a hold's id, a counter's key
--   key           of a hold: that of its counter, which tells those of one id apart
--   before, after all of it, as JSON; NULL: it was not there, it is not there any more
--   column, old, new  the change
--
-- A hold is found again by its primary key; without one by its place among those of its id.
WITH rs$told AS MATERIALIZED (
    SELECT pg_catalog.current_setting('reservation_sweeper.rehearsed')::pg_catalog.jsonb AS rs$told
), rs$identity AS MATERIALIZED (
    SELECT a.attname::pg_catalog.text AS rs$column
      FROM pg_catalog.pg_index x
      JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = ANY (x.indkey)
     WHERE x.indrelid = {reservations_text}::pg_catalog.regclass AND x.indisprimary
), rs$found AS MATERIALIZED (
    SELECT f.rs$after, f.rs$row, f.rs$id, f.rs$key,
           pg_catalog.row_number() OVER (PARTITION BY f.rs$after, f.rs$id, f.rs$key
                                             ORDER BY f.rs$row::pg_catalog.text) AS rs$n
      FROM (SELECT w.rs$after, w.rs$row, w.rs$row ->> {id_text} AS rs$id,
                   (SELECT pg_catalog.jsonb_agg(w.rs$row -> c.rs$column ORDER BY c.rs$column)::pg_catalog.text
                      FROM rs$identity c) AS rs$key
              FROM (SELECT false AS rs$after, e.value AS rs$row
                      FROM rs$told t CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(t.rs$told -> 'holds') e
                     UNION ALL
                    SELECT true, pg_catalog.to_jsonb(r.*)
                      FROM {reservations} r
                     WHERE r.{id} = ANY ($1::{id_type}[])) w) f
), rs$things AS (
    SELECT false AS counter, coalesce(b.rs$id, a.rs$id) AS name, b.rs$row AS before, a.rs$row AS after
      FROM (SELECT * FROM rs$found f WHERE NOT f.rs$after) b
      FULL JOIN (SELECT * FROM rs$found f WHERE f.rs$after) a
        ON a.rs$id = b.rs$id AND a.rs$n = b.rs$n
       AND coalesce(a.rs$key, '') = coalesce(b.rs$key, '')
     UNION ALL
    {counters}
)
SELECT w.counter, w.name, {key}, w.before::pg_catalog.text, w.after::pg_catalog.text, d.column_name, d.old, d.new
  FROM rs$things w
  LEFT JOIN LATERAL (
    SELECT coalesce(o.key, n.key) AS column_name, o.value AS old, n.value AS new
      FROM pg_catalog.jsonb_each_text(w.before) o
      FULL JOIN pg_catalog.jsonb_each_text(w.after) n ON n.key = o.key
     WHERE w.before IS NOT NULL AND w.after IS NOT NULL AND o.value IS DISTINCT FROM n.value) d ON true
 ORDER BY w.counter, w.name, w.before::pg_catalog.text, d.column_name

--@ key if counters
CASE WHEN NOT w.counter THEN (SELECT {x_row_key} FROM (SELECT coalesce(w.before, w.after) AS rs$row) x) END

--@ key
NULL

--@ counters if counters
SELECT true, {m_key_text}, m.rs$row, pg_catalog.to_jsonb(i.*)
  FROM (SELECT e.value AS rs$row, {counter_keys}
          FROM rs$told t
         CROSS JOIN LATERAL pg_catalog.jsonb_array_elements(t.rs$told -> 'counters') e
         CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(NULL::{inventory}, e.value) i) m
  LEFT JOIN {inventory} i ON {i_is_m}

--@ counters
SELECT true, NULL, NULL::pg_catalog.jsonb, NULL::pg_catalog.jsonb WHERE false

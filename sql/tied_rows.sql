-- A page of active rows that expire at the same moment, by id: where very many do, an index on
-- expires_at does not lead to a page's beginning, and the key's does.
--
-- $1, $2  that moment (microseconds since the epoch), and only what comes after this id
-- $3      at most so many rows
-- $4      a row that changed within so many microseconds is young
-- Answer: as of active_rows.sql
--
-- expires_at is hidden from its index, and the run forbids sorting, so that the key's index
-- is what is left.
SELECT p.rs$id::pg_catalog.text, {p_due_us_ahead}, p.rs$young
  FROM (SELECT d.rs$id, d.rs$at, d.rs$young
          FROM (SELECT r.{id} AS rs$id, {row_at} AS rs$at, {row_young} AS rs$young
                  FROM {reservations} r
                 WHERE {typed}
                   AND {active}
                   AND {row_at_hidden} = {at_1}
                   AND r.{id} > $2::{id_type}) d
         WHERE true
           {and_not_endless}
         ORDER BY d.rs$id
         LIMIT $3::int) p

-- A page of the active rows that will be due, by that time, for a reconciliation.
--
-- $1, $2  only what comes after this time (microseconds since the epoch) and id: the end of the
--         last page, or Postgres's clock and NULL
-- $3      at most so many rows
-- $4      a row that changed within so many microseconds is young
-- Answer: id, when it is due in microseconds since the epoch, young (NULL: no telling)
--
-- expires_at is restated alone, so that an index on it serves. Rows that never expire need no entry.
SELECT p.rs$id::pg_catalog.text, {p_due_us_ahead}, p.rs$young
  FROM (SELECT d.rs$id, d.rs$at, d.rs$young
          FROM (SELECT r.{id} AS rs$id, {row_at} AS rs$at, {row_young} AS rs$young
                  FROM {reservations} r
                 WHERE {typed}
                   AND {active}
                   AND {row_from_1}
                   AND ({row_at}, r.{id}) > ({at_1}, $2::{id_type})
                   {and_it_ends}
                   {and_row_counts}) d
         WHERE true
           {and_not_endless}
         ORDER BY d.rs$at, d.rs$id
         LIMIT $3::int) p

--@ and_it_ends if bigint_times

--@ and_it_ends
AND {row_at} < '9999-12-31 00:00+00'

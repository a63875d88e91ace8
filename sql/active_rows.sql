-- A page of the active rows that will expire, by expiry, for a reconciliation.
--
-- $1, $2  only what comes after this expiry (microseconds since the epoch) and id: the end of the
--         last page, or Postgres's clock and NULL
-- $3      at most so many rows
-- $4      a row that changed within so many microseconds is young
-- Answer: id, expires_at in microseconds since the epoch, young (NULL: no telling)
--
-- The epoch as a float costs a fifth of what the exact number does, and is exact until 2100.
--
-- expires_at is restated alone, so that an index on it serves. Rows that never expire need no entry.
SELECT p.id::pg_catalog.text, CASE WHEN p.expires_at < '2100-01-01 00:00+00'
            THEN (pg_catalog.date_part('epoch', p.expires_at) * 1000000)::bigint
            ELSE (extract(epoch FROM p.expires_at) * 1000000)::bigint END, p.young
  FROM (SELECT r.{id} AS id, r.{expires_at} AS expires_at,
               r.{updated_at} > {now_updated} - $4::bigint * interval '1 microsecond' AS young
          FROM {reservations} r
         WHERE {typed}
           AND r.{status} = {active}
           AND r.{expires_at} >= {epoch_expires} + $1::bigint * interval '1 microsecond'
           AND (r.{expires_at}, r.{id})
               > ({epoch_expires} + $1::bigint * interval '1 microsecond', $2::{id_type})
           AND r.{expires_at} < '9999-12-31 00:00+00'
           {and_not_endless}
         ORDER BY r.{expires_at}, r.{id}
         LIMIT $3::int) p

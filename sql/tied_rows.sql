-- A page of active rows that expire at the same moment, by id: where very many do, an index on
-- expires_at does not lead to a page's beginning, and the key's does.
--
-- Parameters and answer as in active_rows.sql.
--
-- expires_at is hidden from its index, and the run forbids sorting, so that the key's index
-- is what is left.
SELECT p.id::pg_catalog.text, CASE WHEN p.expires_at < '2100-01-01 00:00+00'
            THEN (pg_catalog.date_part('epoch', p.expires_at) * 1000000)::bigint
            ELSE (extract(epoch FROM p.expires_at) * 1000000)::bigint END, p.young
  FROM (SELECT r.{id} AS id, r.{expires_at} AS expires_at,
               r.{updated_at} > {now_updated} - $4::bigint * interval '1 microsecond' AS young
          FROM {reservations} r
         WHERE {typed}
           AND r.{status} = {active}
           AND r.{expires_at} + interval '0'
               = {epoch_expires} + $1::bigint * interval '1 microsecond'
           AND r.{id} > $2::{id_type}
           {and_not_endless}
         ORDER BY r.{id}
         LIMIT $3::int) p

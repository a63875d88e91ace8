-- The oldest reservations that should have been released by now: what readiness looks at.
--
-- $1  expired at least so many microseconds ago
-- $2  at most so many rows
-- Answer: id, when its latest active row expired, in microseconds since the epoch, one of its products
--
-- A reservation is due when the latest of its active rows is: looked up by key, for the few rows
-- that have expired. {and_not_endless}, OFFSET 0: see due_rows.sql; the latter also keeps a join from
-- being planned here.
SELECT p.id::pg_catalog.text,
       (extract(epoch FROM greatest(v.latest, {epoch_expires})) * 1000000)::bigint,
       v.product
  FROM (SELECT d.id, pg_catalog.max(d.expires_at) AS expires_at
          FROM (SELECT r.{id} AS id, r.{expires_at} AS expires_at
                  FROM {reservations} r
                 WHERE {typed}
                   AND r.{status} = {active}
                   AND r.{expires_at} OPERATOR(pg_catalog.<=) {now_expires} - $1::bigint * interval '1 microsecond'
                   {and_not_endless}
                OFFSET 0) d
         GROUP BY d.id
         ORDER BY 2
         LIMIT $2::int) p
 CROSS JOIN LATERAL (
    SELECT pg_catalog.max(r.{expires_at}) AS latest,
           pg_catalog.min(r.{product_id}::pg_catalog.text) AS product
      FROM {reservations} r
     WHERE r.{id} = p.id AND r.{status} = {active}
    OFFSET 0) v
 WHERE v.latest OPERATOR(pg_catalog.<=) {now_expires} - $1::bigint * interval '1 microsecond'
 ORDER BY 2

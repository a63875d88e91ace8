-- What a reconciliation has before it.
--
-- Answer: Postgres's clock in microseconds, active rows, products, whether anything has expired
SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint,
       (SELECT pg_catalog.count(*) FROM {reservations} r WHERE r.{status} = {active}),
       (SELECT pg_catalog.count(*) FROM {inventory}),
       EXISTS (SELECT FROM {reservations} r
                WHERE {typed} AND r.{status} = {active} AND r.{expires_at} OPERATOR(pg_catalog.<=) {now_expires})

-- What a reconciliation has before it.
--
-- Answer: Postgres's clock in microseconds, active rows, products, whether anything has expired
SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint,
       (SELECT count(*) FROM {reservations} r WHERE r.{status} = {active}),
       (SELECT count(*) FROM {inventory}),
       EXISTS (SELECT FROM {reservations} r
                WHERE r.{status} = {active} AND r.{expires_at} <= {now_expires})

-- What a reconciliation has before it.
--
-- Answer: Postgres's clock in microseconds, active rows, counters, whether anything is due
SELECT (extract(epoch FROM pg_catalog.clock_timestamp()) * 1000000)::bigint,
       (SELECT pg_catalog.count(*) FROM {reservations} r WHERE {active}),
       {counters},
       EXISTS (SELECT FROM {reservations} r
                WHERE {typed}
                  AND {active}
                  AND {row_by_now})

--@ counters if counters
(SELECT pg_catalog.count(*) FROM {inventory})

--@ counters
0::bigint

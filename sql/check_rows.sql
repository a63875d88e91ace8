-- What the active rows are like, for --check-config.
--
-- Answer, one row: active rows; of these without a quantity that can be given back, without an expiry,
--   of a key that has no counter (that this role sees), without an id, and with a number for an expiry
--   that no moment from 2001 to 9999 has
SELECT pg_catalog.count(*),
       pg_catalog.count(*) FILTER (WHERE (s.rs$units - s.rs$units = 0) IS NOT TRUE),
       pg_catalog.count(*) FILTER (WHERE s.rs$expires IS NULL),
       {without_counter},
       pg_catalog.count(*) FILTER (WHERE s.rs$id IS NULL),
       pg_catalog.count(*) FILTER (WHERE {implausible})
  FROM (SELECT r.{id} AS rs$id, r.{expires_at} AS rs$expires, {quantity} AS rs$units{and_keys}
          FROM {reservations} r
         WHERE {active}) s

--@ and_keys if counters
, {hold_keys}

--@ and_keys

--@ without_counter if counters
pg_catalog.count(*) FILTER (WHERE NOT EXISTS (SELECT FROM {inventory} i WHERE {i_is_s}))

--@ without_counter
0

--@ implausible if bigint_times seconds
s.rs$expires NOT BETWEEN 978307200 AND 253402300799

--@ implausible if bigint_times
s.rs$expires NOT BETWEEN 978307200000 AND 253402300799999

--@ implausible
false

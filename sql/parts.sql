-- The parts that statements share (src/store/parts.c says how a statement is made of them).
--
-- In all of them: r a row of the reservations, i one of the counters.

-- ---- Times

--@ now_expires if expires_zoned
pg_catalog.now()

--@ now_expires
-- A time without a zone is read as UTC, whatever the session's zone is.
(pg_catalog.now() AT TIME ZONE 'UTC')

--@ now_updated if updated_zoned
pg_catalog.now()

--@ now_updated
(pg_catalog.now() AT TIME ZONE 'UTC')

--@ now_stock_updated if stock_updated_zoned
pg_catalog.now()

--@ now_stock_updated
(pg_catalog.now() AT TIME ZONE 'UTC')

--@ epoch_expires if expires_zoned
timestamp with time zone 'epoch'

--@ epoch_expires
timestamp 'epoch'

-- ---- What is asked for

--@ asked
-- The ids, with their positions in $1; of two spellings of one, the first.
(SELECT u.id, pg_catalog.min(u.n) AS n
              FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS u (id, n) GROUP BY u.id) a

--@ few
-- Always so, and taken by the planner for one row in eight million: of a table that was never analyzed it
-- believes that each id has a two-hundredth of the rows. Hashes are only made of what seems to be little.
(r.tableoid::bigint + 1 = 1 + r.tableoid::bigint AND r.tableoid::bigint + 2 = 2 + r.tableoid::bigint
               AND r.tableoid::bigint + 3 = 3 + r.tableoid::bigint)

-- ---- What is due

--@ releasable
-- Of a row alone; its reservation is due when all its active rows are.
r.{status} = {active} AND r.{expires_at} OPERATOR(pg_catalog.<=) {now_expires}

--@ due
-- Of a reservation, by what was seen of it: s.expires_at is the latest of its active rows.
s.expires_at OPERATOR(pg_catalog.<=) {now_expires}

--@ and_not_endless if expires_nullable
-- Only ids of which no active row lacks an expiry.
AND NOT EXISTS (SELECT FROM {reservations} e WHERE e.{id} = r.{id}
 AND e.{status} = {active} AND e.{expires_at} IS NULL)

--@ and_not_endless

-- ---- Changes

--@ set_released
SET {status} = {released}, {updated_at} = {now_updated}

--@ set_stock
-- m: units, by product
SET {available_stock} = i.{available_stock} + m.units,
           {reserved_stock} = i.{reserved_stock} - m.units,
           {stock_updated_at} = {now_stock_updated}

-- ---- Where counters come last (sql/release_bulk.sql says why)

--@ alone_among_releases
-- $3: the longest that another release is waited for; $2: that a counter is.
pg_catalog.set_config('lock_timeout', $3, true),
           {release_lock},
           pg_catalog.set_config('lock_timeout', $2, true)

--@ units_in_turn
-- The counters that most of what was flipped wants come last of all.
(SELECT product_id, pg_catalog.sum(quantity) AS units
              FROM alone CROSS JOIN flipped GROUP BY product_id ORDER BY pg_catalog.count(*)) m

--@ counters_in_doubt
-- Two counters of a product, or one that is not known.
(SELECT pg_catalog.count(*)
                             <> pg_catalog.count(DISTINCT CASE WHEN s.known THEN s.product_id END)
                        FROM stocked s)

-- ---- Doubts

--@ counter_known
-- Neither counter is NULL, nor a number that is none.
i.{available_stock} - i.{available_stock} + i.{reserved_stock} - i.{reserved_stock} = 0

--@ meddled if meddled
-- It is known, and looked after.
false

--@ meddled
-- Whether there are triggers of the shop's by now, though the catalog had none: a part of what
-- sql/catalog.sql asks, cheap enough for each release.
EXISTS (SELECT FROM pg_catalog.pg_trigger t
 WHERE t.tgrelid IN ({reservations_text}::pg_catalog.regclass,
 {inventory_text}::pg_catalog.regclass)
 AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0)

--@ several_by_now if divided
NOT {still_unique}

--@ several_by_now
-- Whether an id may have several rows by now, though it had one: a part of what sql/catalog.sql asks.
-- Whoever drops the index, or makes another table a child of this one, waits for this transaction.
(NOT {still_unique}
        OR EXISTS (SELECT FROM pg_catalog.pg_inherits h
                    WHERE h.inhparent = {reservations_text}::pg_catalog.regclass))

--@ still_unique
EXISTS (SELECT FROM pg_catalog.pg_index x
 JOIN pg_catalog.pg_attribute c ON c.attrelid = x.indrelid AND c.attnum = x.indkey[0]
 WHERE x.indrelid = {reservations_text}::pg_catalog.regclass AND c.attname = {id_text}
 AND x.indisunique AND x.indisvalid AND x.indimmediate AND x.indnkeyatts = 1 AND x.indpred IS NULL)

-- ---- Columns that need not be there

--@ total if total
{total_stock}

--@ total
NULL::bigint

-- The parts that statements share (src/store/parts.c says how a statement is made of them).
--
-- In all of them: r a row of the reservations, i one of the counters.

-- ---- Times

--@ now_updated if updated_zoned
pg_catalog.now()

--@ now_updated
(pg_catalog.now() AT TIME ZONE 'UTC')

-- ---- What is asked for

--@ asked
-- The ids, with their positions in $1; of two spellings of one, the first.
(SELECT u.rs$id, pg_catalog.min(u.rs$n) AS rs$n
              FROM pg_catalog.unnest($1::{id_type}[]) WITH ORDINALITY AS u (rs$id, rs$n) GROUP BY u.rs$id) a

--@ few
-- Always so, and taken by the planner for one row in eight million: of a table that was never analyzed it
-- believes that each id has a two-hundredth of the rows. Hashes are only made of what seems to be little.
(r.tableoid::bigint + 1 = 1 + r.tableoid::bigint AND r.tableoid::bigint + 2 = 2 + r.tableoid::bigint
               AND r.tableoid::bigint + 3 = 3 + r.tableoid::bigint)

--@ asked_with_since if extends
-- ... and what is known of those that are kept.
(SELECT u.rs$id, pg_catalog.min(u.rs$n) AS rs$n, pg_catalog.min(u.rs$since_ms) AS rs$since_ms,
                   pg_catalog.min(u.rs$due_ms) AS rs$due_ms
              FROM ROWS FROM (pg_catalog.unnest($1::{id_type}[]), pg_catalog.unnest($2::bigint[]),
                              pg_catalog.unnest($3::bigint[])) WITH ORDINALITY
                   AS u (rs$id, rs$since_ms, rs$due_ms, rs$n) GROUP BY u.rs$id) a

--@ asked_with_since
{asked}

--@ since_of_a if extends
a.rs$since_ms, a.rs$due_ms,

--@ since_of_a

-- ---- What is due

--@ releasable if bigint_times
-- Of a row alone; its reservation is due when all its active rows are.
{active} AND {row_plausible} AND {row_by_now}

--@ releasable
{active} AND {row_by_now}

--@ due
-- Of a reservation, by what was seen of it: s.rs$expires is the latest of its active rows.
s.rs$expires OPERATOR(pg_catalog.<=) {now_at}

-- ---- What is kept

--@ and_keep_of_r if keeps
, CASE WHEN {releasable} THEN {keep_while} IS TRUE ELSE false END AS rs$keep

--@ and_keep_of_r

--@ kept if keep_ends
-- Of a reservation, by what was seen of it.
(s.rs$kept AND NOT {past})

--@ kept
s.rs$kept

--@ past
-- How long it may be kept.
{now_us} - {since_us} >= {at_most_us}

--@ since_us if extends
-- When it was first due: what is known counts while it is due when it was said to be, so that it is not
-- that of another hold of the same id.
CASE WHEN (({due_us}) + 999) / 1000 = s.rs$due_ms THEN least(s.rs$since_ms * 1000, {due_us}) ELSE {due_us} END

--@ since_us
{due_us}

--@ due_us if bigint_times
s.rs$expires * {us_of_unit}{plus_after}

--@ due_us
(extract(epoch FROM greatest(s.rs$expires, {epoch_at})) * 1000000)::bigint{plus_after}

-- ---- Expiries

--@ latest_expires if expires_nullable
{latest_or_never}

--@ latest_expires if bigint_times
{latest_or_never}

--@ latest_expires
{latest}

--@ latest_or_never
-- NULL: one of its active rows never expires.
CASE WHEN pg_catalog.bool_and(r.rs$row_expires IS NOT NULL) FILTER (WHERE r.rs$active) OVER same
                THEN {latest} END

--@ latest
pg_catalog.max(r.rs$row_expires) FILTER (WHERE r.rs$active) OVER same

--@ row_expires if bigint_times
-- A number that is no time is as none: its reservation is never due.
CASE WHEN {row_plausible} THEN r.{expires_at} END

--@ row_expires
{row_at}

--@ latest_due if bigint_times
-- When it is due, in seconds since the epoch.
(s.rs$expires * {us_of_unit}{plus_after}) / 1000000.0

--@ latest_due if after
extract(epoch FROM s.rs$expires) + {after_us} / 1000000.0

--@ latest_due
extract(epoch FROM s.rs$expires)

-- ---- When a row is due

-- All moments outside of Postgres are those at which a reservation is due: its expiry and {after_us}. In here a
-- moment ("at") is one as the column has it, less {after_us}, so that an index on the column serves. Where a
-- time zone puts its clocks back the column's order is not that of moments: there they are compared, and a
-- bound beside it, wider than any such change, serves the index.

--@ row_at if zone_bends
-- Near the ends of what a timestamp can be (the greatest one, for "never") no zone can move it: there it is
-- taken for infinite, since a single row would fail every statement.
(CASE WHEN r.{expires_at} > timestamp 'epoch' + interval '280000 years' THEN 'infinity'
      WHEN r.{expires_at} < timestamp 'epoch' - interval '5000 years' THEN '-infinity'
      ELSE r.{expires_at} END AT TIME ZONE {zone})

--@ row_at
r.{expires_at}

--@ row_at_hidden if bigint_times
r.{expires_at} + 0

--@ row_at_hidden
{row_at} + interval '0'

--@ epoch_at if expires_zoned
timestamp with time zone 'epoch'

--@ epoch_at if zone_bends
timestamp with time zone 'epoch'

--@ epoch_at
timestamp 'epoch'

--@ epoch_due if after
({epoch_at} - {after_us} * interval '1 microsecond')

--@ epoch_due
{epoch_at}

--@ plus_after if after
 + {after_us}

--@ plus_after

--@ us_of_unit if seconds
1000000

--@ us_of_unit
1000

--@ at_1 if bigint_times
($1::bigint - {after_us}) / {us_of_unit}

--@ at_1
{epoch_due} + $1::bigint * interval '1 microsecond'

--@ at_3 if bigint_times
($3::bigint - {after_us}) / {us_of_unit}

--@ at_3
{epoch_due} + $3::bigint * interval '1 microsecond'

--@ now_us
pg_catalog.floor(extract(epoch FROM pg_catalog.now()) * 1000000)::bigint

--@ now_then if after
(pg_catalog.now() - {after_us} * interval '1 microsecond')

--@ now_then
pg_catalog.now()

--@ now_at if bigint_times
({now_us} - {after_us}) / {us_of_unit}

--@ now_at if expires_zoned
{now_then}

--@ now_at if zone_bends
{now_then}

--@ now_at
-- A time without a zone is read in {zone}, whatever the session's zone is.
({now_then} AT TIME ZONE {zone})

--@ now_less_1 if bigint_times
({now_us} - $1::bigint - {after_us}) / {us_of_unit}

--@ now_less_1
{now_at} - $1::bigint * interval '1 microsecond'

--@ now_and_2 if bigint_times
({now_us} + $2::bigint - {after_us}) / {us_of_unit}

--@ now_and_2
{now_at} + $2::bigint * interval '1 microsecond'

--@ row_by_now if zone_bends
{row_at} OPERATOR(pg_catalog.<=) {now_at}
               AND r.{expires_at} <= ({now_at} AT TIME ZONE {zone}) + interval '1 hour'

--@ row_by_now
r.{expires_at} OPERATOR(pg_catalog.<=) {now_at}

--@ row_by_now_less_1 if zone_bends
{row_at} OPERATOR(pg_catalog.<=) {now_less_1}
               AND r.{expires_at} <= (({now_less_1}) AT TIME ZONE {zone}) + interval '1 hour'

--@ row_by_now_less_1
r.{expires_at} OPERATOR(pg_catalog.<=) {now_less_1}

--@ row_by_now_and_2 if zone_bends
{row_at} OPERATOR(pg_catalog.<=) {now_and_2}
               AND r.{expires_at} <= (({now_and_2}) AT TIME ZONE {zone}) + interval '1 hour'

--@ row_by_now_and_2
r.{expires_at} OPERATOR(pg_catalog.<=) {now_and_2}

--@ row_from_1 if zone_bends
{row_at} >= {at_1}
               AND r.{expires_at} >= (({at_1}) AT TIME ZONE {zone}) - interval '1 day'

--@ row_from_1
r.{expires_at} >= {at_1}

--@ row_from_1_or_all if zone_bends
{row_at} >= coalesce({at_1}, '-infinity')
               AND r.{expires_at} >= coalesce((({at_1}) AT TIME ZONE {zone}) - interval '1 day', '-infinity')

--@ row_from_1_or_all if bigint_times
r.{expires_at} >= coalesce({at_1}, 0)

--@ row_from_1_or_all
r.{expires_at} >= coalesce({at_1}, '-infinity')

--@ row_has_end if bigint_times
({row_plausible}) IS TRUE

--@ row_has_end
r.{expires_at} IS NOT NULL

--@ row_is_endless if bigint_times
(r.{expires_at} IS NULL OR r.{expires_at} < {first_time} OR r.{expires_at} > {last_time})

--@ row_is_endless
r.{expires_at} IS NULL

--@ first_time if seconds
-- From 2001 to 9999: what lies elsewhere is a mistake (seconds where there should be milliseconds), or "never".
978307200

--@ first_time
978307200000

--@ last_time if seconds
253402300799

--@ last_time
253402300799999

--@ row_plausible
r.{expires_at} BETWEEN {first_time} AND {last_time}

--@ and_row_counts if bigint_times id_nullable
AND {row_plausible}
               AND r.{id} IS NOT NULL

--@ and_row_counts if bigint_times
AND {row_plausible}

--@ and_row_counts if id_nullable
-- Without an id nobody can release it: it is never due.
AND r.{id} IS NOT NULL

--@ and_row_counts

--@ and_not_endless if expires_nullable
{and_no_endless_row}

--@ and_not_endless if bigint_times
{and_no_endless_row}

--@ and_not_endless

--@ and_no_endless_row
-- Only ids of which no active row lacks an expiry. One look-up by key for each row that is due, and by
-- nothing else (OFFSET 0): of a table that was never analyzed the planner would compare each row with each
-- that has no end, and where there are very many of those, hash them all for the few that are due.
AND NOT EXISTS (SELECT FROM (SELECT {row_is_endless} AS rs$endless, {active} AS rs$active
                                    FROM {reservations} r
                                   WHERE r.{id} = d.rs$id
                                  OFFSET 0) x
                       WHERE x.rs$endless AND x.rs$active)

-- p.rs$at: when it is due, in microseconds since the epoch (what lies before it: 0), and in seconds

--@ p_due_us if bigint_times
(p.rs$at * {us_of_unit}{plus_after})

--@ p_due_us
((extract(epoch FROM greatest(p.rs$at, {epoch_at})) * 1000000)::bigint{plus_after})

--@ p_due_us_ahead if bigint_times
{p_due_us}

--@ p_due_us_ahead
-- The epoch as a float costs a fifth of what the exact number does, and is exact until 2100.
CASE WHEN p.rs$at < '2100-01-01 00:00+00'
            THEN (pg_catalog.date_part('epoch', p.rs$at) * 1000000)::bigint
            ELSE (extract(epoch FROM p.rs$at) * 1000000)::bigint END{plus_after}

--@ p_due_s if bigint_times
{p_due_us} / 1000000.0

--@ p_due_s if after
extract(epoch FROM p.rs$at) + {after_us} / 1000000.0

--@ p_due_s
extract(epoch FROM p.rs$at)

-- ---- Keys of counters

--@ keys_of_r if counters
{hold_keys},

--@ keys_of_r

--@ comma_hold_keys if counters
, {hold_keys}

--@ comma_hold_keys

--@ row_young if dated
r.{updated_at} > {now_updated} - $4::bigint * interval '1 microsecond'

--@ row_young
-- Nothing tells.
CASE WHEN $4::bigint < 0 THEN true END

-- ---- Changes

--@ set_stock if free held
-- m: units, by key
SET {free} = i.{free} + m.rs$units,
           {held} = i.{held} - m.rs$units{stock_set}

--@ set_stock if free
SET {free} = i.{free} + m.rs$units{stock_set}

--@ set_stock
SET {held} = i.{held} - m.rs$units{stock_set}

-- ---- Where counters come last (sql/release_bulk.sql says why)

--@ alone_among_releases
-- $3: the longest that another release is waited for; $2: that a counter is.
pg_catalog.set_config('lock_timeout', $3, true),
           {release_lock},
           pg_catalog.set_config('lock_timeout', $2, true)

--@ units_in_turn
-- The counters that most of what was flipped wants come last of all.
(SELECT {k}, pg_catalog.sum(rs$units) AS rs$units
              FROM rs$alone CROSS JOIN rs$flipped GROUP BY {k} ORDER BY pg_catalog.count(*)) m

--@ counters_in_doubt
-- Two counters of a product, or one that is not known.
(SELECT pg_catalog.count(*)
                             <> pg_catalog.count(DISTINCT CASE WHEN s.rs$known THEN {s_k} END)
                        FROM rs$stocked s)

-- ---- Doubts

--@ counter_known
-- Neither counter is NULL, nor a number that is none.
i.{free} - i.{free} + i.{held} - i.{held} = 0

--@ meddled if calls
-- It is looked at once more in any case.
false

--@ meddled if meddled
-- It is known, and looked after.
false

--@ meddled if deletes counters
EXISTS (SELECT FROM pg_catalog.pg_trigger t
 WHERE (t.tgrelid = {reservations_text}::pg_catalog.regclass AND t.tgtype & 8 <> 0
 OR t.tgrelid = {inventory_text}::pg_catalog.regclass AND t.tgtype & 16 <> 0)
 AND NOT t.tgisinternal AND t.tgenabled <> 'D')

--@ meddled if deletes
EXISTS (SELECT FROM pg_catalog.pg_trigger t
 WHERE t.tgrelid = {reservations_text}::pg_catalog.regclass
 AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 8 <> 0)

--@ meddled if counters
-- Whether there are triggers of the shop's by now, though the catalog had none: a part of what
-- sql/catalog.sql asks, cheap enough for each release.
EXISTS (SELECT FROM pg_catalog.pg_trigger t
 WHERE t.tgrelid IN ({reservations_text}::pg_catalog.regclass,
 {inventory_text}::pg_catalog.regclass)
 AND NOT t.tgisinternal AND t.tgenabled <> 'D' AND t.tgtype & 16 <> 0)

--@ meddled
EXISTS (SELECT FROM pg_catalog.pg_trigger t
 WHERE t.tgrelid = {reservations_text}::pg_catalog.regclass
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

--@ free_of_i if free
i.{free}

--@ free_of_i
NULL::bigint

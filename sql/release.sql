-- Releases a batch: ids in, an outcome for each out. One transaction, READ COMMITTED.
--
-- $1  the ids, an array in text form
-- Answer: one row for each asked id and each of its rows (one row for an id that has none); of two
--   spellings of one id, only for the first
--   n            position of the id in $1, from 1
--   due_at       when the latest of its active rows is due, in seconds since the epoch, or
--                (-)Infinity; NULL when one of them never is
--   units        the row's units, when it was released
--   unheld       the row's key, when its counter is not held: somebody else has it locked, or
--                there is no such counter (then a released row has it too); "" for none; several values with
--                commas. NULL where there are no counters
--   found        the id has a row
--   active_rows  how many of its rows were active
--   due          the latest of those is due
--   adds_up, noted  of no interest
--   and where reservations may be kept (keep_while):
--   kept           it is, and was extended, if it is to be
--   kept_since_us  when it was first due, in microseconds since the epoch
--   kept_past      at_most has gone by since
--   due_again      when it is due again, if it was extended
-- After sql/keep_lock.sql then, with the parameters that are said there.
--
-- Names that the statement gives begin with rs$ wherever SQL of the operator's stands ({active}, {released}, {stock_set}):
-- a name without a relation is then one of the shop's.
--
-- Why it is written so (docs/design/release-statement.md):
-- * Counters are locked first, in key order, passing by those that a checkout holds; a
--   reservation is flipped only when all its counters and all its active rows are held. Nothing
--   else is written: no lost update, and nobody waits.
-- * Rows are found again by their places, all in one scan (`rows_at`): a join would begin a scan for
--   each. What was found is compared by (x IN (SELECT ...)) IS TRUE, which is planned as a look-up in a
--   hash, whatever is known of the tables. A join of two CTEs may be planned as a loop in a loop, and an
--   IN alone as such a join.
-- * `picked` restates what makes a row releasable, so that a row which changed between the
--   statement's snapshot and its lock is judged by its newest version. When that is another place, it is
--   none of those that were seen, and its reservation is left for the next attempt: no version takes a
--   place that this snapshot can see. So what is flipped is what was seen, the units too. Today's
--   Postgres compares the place of the newer version again (the recheck of a TID scan) and drops it,
--   before anything else is asked of it: there no test can see that activity and expiry are restated, nor
--   that places are compared. They are for a Postgres without that recheck, which judges the newer version
--   by what is restated.
-- * Units, keys and all else that is given to counters are those of the rows as they were locked: what is
--   set may be of them too (quantity = 0), and a trigger may make anything of a row. What RETURNING gives
--   is asked one thing alone: whether the row is still active.
-- * The explaining form: `adds_up`: what was to be changed was, row by row, and each counter once, by its
--   units; no row is active by what it has become. If not, the statement fails with a sentence, by a cast
--   that cannot succeed (release.c reads it): of the first row of the answer that may be at fault; alone, a
--   reservation is. With triggers or rules of the shop's, sql/release_check.sql looks again afterwards.
-- * The lean form: where nothing stands in the way (mapping_allows_lean), it is enough that nothing does by
--   now: as many rows were flipped as were taken, in no other table than this one, and none is still active;
--   no row security, no triggers, no fractions, no second counter, none that is NULL. Else it fails (a
--   division by zero), and is sent again in the explaining form, which is right for any tables.
WITH {ours}rs$seen AS MATERIALIZED (
    SELECT a.rs$n, {since_of_a} r.*, {of_its_reservation}
), {counters_locked} rs$wanted AS MATERIALIZED (
    SELECT s.rs$part, s.rs$place
      FROM rs$seen s
     WHERE {takeable}
       {and_counter_held}
), rs$picked AS MATERIALIZED (
    SELECT r.tableoid AS rs$part, r.ctid AS rs$place
      FROM {reservations} r
     WHERE {rows_wanted}
       AND {releasable}
       FOR {row_lock} OF r SKIP LOCKED
), rs$taken AS MATERIALIZED (
    {taken}
), rs$flipped AS (
    {flip}
){and_extended}{and_stocked}
{answer}

-- ---- What was seen

--@ of_its_reservation if lean id_unique
-- A second row of an id fails the statement: see one_row_each.
r.rs$active::int AS rs$active_rows, r.rs$row_expires AS rs$expires
      FROM {asked} LEFT JOIN LATERAL ({rows_of_it}) r ON true

--@ of_its_reservation
pg_catalog.count(*) FILTER (WHERE r.rs$active) OVER same AS rs$active_rows, {latest_expires} AS rs$expires
           {and_kept}
      FROM {asked_with_since} LEFT JOIN LATERAL ({rows_of_it}) r ON true
    WINDOW same AS (PARTITION BY a.rs$n)

--@ rows_of_it
-- One look-up by key for each id: OFFSET 0 keeps the planner from joining, for which it would read all
-- of a table that was never analyzed.
SELECT r.tableoid AS rs$part, r.ctid AS rs$place, {keys_of_r} {quantity} AS rs$units,
                    {active} AS rs$active, {row_expires} AS rs$row_expires
                    {and_keep_of_r} {and_told_of_r}
               FROM {reservations} r
              WHERE {typed} AND r.{id} = a.rs$id AND {few}
             OFFSET 0

--@ and_told_of_r if also
, {also_seen}

--@ and_told_of_r

-- ---- What is kept (keep_while): judged by this statement, of rows that the one before has locked

--@ ours if keeps
-- What sql/keep_lock.sql has locked.
rs$ours AS MATERIALIZED (
    SELECT t.rs$part::pg_catalog.oid AS rs$part, t.rs$place::pg_catalog.tid AS rs$place
      FROM (SELECT pg_catalog.current_setting('reservation_sweeper.locked')::pg_catalog.json AS rs$locked
            OFFSET 0) o
     CROSS JOIN LATERAL ROWS FROM (
        pg_catalog.json_array_elements_text(o.rs$locked -> 'parts'),
        pg_catalog.json_array_elements_text(o.rs$locked -> 'places')) AS t (rs$part, rs$place)
),

--@ ours

--@ and_kept if keeps
, coalesce(pg_catalog.bool_or(r.rs$keep) OVER same, false) AS rs$kept

--@ and_kept

--@ takeable if keeps
s.rs$active AND {due} AND NOT {kept} {and_ours}

--@ takeable
s.rs$active AND {due}

--@ and_ours if keeps
AND ((s.rs$part, s.rs$place) IN (SELECT o.rs$part, o.rs$place FROM rs$ours o)) IS TRUE

--@ and_ours

--@ and_extended if extends
, rs$within_reach AS MATERIALIZED (
    SELECT r.tableoid AS rs$part, r.ctid AS rs$place
      FROM {reservations} r
     WHERE r.ctid = ANY (ARRAY(SELECT s.rs$place FROM rs$seen s WHERE {extendable}))
       AND ((r.tableoid, r.ctid) IN (SELECT s.rs$part, s.rs$place FROM rs$seen s WHERE {extendable})) IS TRUE
       AND {releasable}
       FOR NO KEY UPDATE OF r SKIP LOCKED
), rs$extending AS MATERIALIZED (
    -- All of a reservation, or none. To whole milliseconds: Redis's, and a column's.
    SELECT s.rs$n, s.rs$part, s.rs$place,
           least({now_us} + {extend_us}, {since_us} + {at_most_us}) / 1000 * 1000 AS rs$to_us
      FROM (SELECT s.*, pg_catalog.count(*) OVER (PARTITION BY s.rs$n) AS rs$locked_rows
              FROM rs$seen s
             WHERE ((s.rs$part, s.rs$place) IN (SELECT w.rs$part, w.rs$place FROM rs$within_reach w)) IS TRUE) s
     WHERE s.rs$locked_rows = s.rs$active_rows
), rs$extended AS (
    UPDATE {reservations} r
       SET {expires_at} = {extended_at}
      FROM rs$extending x
     WHERE r.tableoid = x.rs$part AND r.ctid = x.rs$place
    RETURNING x.rs$n, x.rs$part, x.rs$place, {due_us_of_r} AS rs$due_us
)

--@ and_extended

--@ extendable
s.rs$active AND {due} AND {kept} AND NOT {past}

--@ extended_at if bigint_times
x.rs$to_us / {us_of_unit}

--@ extended_at if expires_zoned
{epoch_at} + x.rs$to_us * interval '1 microsecond'

--@ extended_at if zone_bends
({epoch_at} + x.rs$to_us * interval '1 microsecond') AT TIME ZONE {zone}

--@ extended_at
{epoch_at} + x.rs$to_us * interval '1 microsecond'

--@ due_us_of_r if bigint_times
r.{expires_at} * {us_of_unit}

--@ due_us_of_r
(extract(epoch FROM {row_at}) * 1000000)::bigint

--@ extended_of_s if extends
((s.rs$part, s.rs$place) IN (SELECT x.rs$part, x.rs$place FROM rs$extending x)) IS TRUE AS rs$extending,
               ((s.rs$part, s.rs$place) IN (SELECT e.rs$part, e.rs$place FROM rs$extended e)) IS TRUE AS rs$extended,

--@ extended_of_s

--@ or_not_extended if extends
WHEN s.rs$extending AND NOT s.rs$extended
            THEN pg_catalog.concat(
                     '<sweeper row>queue ', {queue_text}, ': the row was not extended by `keep.extend`: a'
                     ' trigger, a rule or row security of table ', {reservations_text},
                     ' stands in the way</sweeper>')::integer

--@ or_not_extended

--@ and_kept_told if keeps
,
       {kept_told} AS kept, {since_us} AS kept_since_us, {past} AS kept_past, {due_again} AS due_again

--@ and_kept_told

--@ kept_told if extends
-- One of which somebody has locked a row was not extended: it is locked, and tried again soon.
{kept} AND ({past} OR s.rs$extended)

--@ kept_told
{kept}

--@ due_again if extends
(SELECT pg_catalog.max(e.rs$due_us) FROM rs$extended e WHERE e.rs$n = s.rs$n)

--@ due_again
NULL::bigint

-- ---- Locks

--@ counters_locked if composite
-- One look-up for each key, in their order; with several columns there is no = ANY.
rs$held AS MATERIALIZED (
    SELECT h.*
      FROM (SELECT DISTINCT {s_k} FROM rs$seen s WHERE {takeable} ORDER BY {k}) w
     CROSS JOIN LATERAL (
        SELECT {counter_keys}{counters_before}
          FROM {inventory} i
         WHERE {i_is_w}
           FOR NO KEY UPDATE OF i {skip_locked}) h
),

--@ counters_locked if counters
rs$held AS MATERIALIZED (
    SELECT {counter_keys}{counters_before}
      FROM {inventory} i
     WHERE {counter_key} = ANY (ARRAY(SELECT {s_k} FROM rs$seen s
                                              WHERE {takeable}))
     ORDER BY {counter_key}
       FOR NO KEY UPDATE OF i {skip_locked}
),

--@ counters_locked

--@ skip_locked if waiting

--@ skip_locked
SKIP LOCKED

--@ counters_before if lean

--@ counters_before
, {free_of_i} AS rs$free, {held_of_i} AS rs$held

--@ free_of_i if free
i.{free}

--@ free_of_i
NULL::numeric

--@ held_of_i if held
i.{held}

--@ held_of_i
NULL::numeric

--@ and_counter_held if counters
AND (({s_k}) IN (SELECT {h_k} FROM rs$held h)
            OR {no_counter})

--@ and_counter_held

--@ no_counter
-- Looked up by key: of a NOT EXISTS the planner may make a hash of all counters.
(SELECT true FROM {inventory} i WHERE {i_is_s} LIMIT 1) IS NULL

--@ row_lock if deletes
-- What a DELETE takes: it would wait for an insert that refers to the row, and is not committed yet.
UPDATE

--@ row_lock
NO KEY UPDATE

-- ---- All rows of a reservation, or none

--@ rows_wanted if lean
{rows_at_one} (ARRAY(SELECT w.rs$place FROM rs$wanted w))

--@ rows_wanted
-- In partitions and children places repeat.
r.ctid = ANY (ARRAY(SELECT w.rs$place FROM rs$wanted w))
       AND ((r.tableoid, r.ctid) IN (SELECT w.rs$part, w.rs$place FROM rs$wanted w)) IS TRUE

--@ rows_at_one
-- Nothing of a table that has become a child of this one since the catalog was read.
r.tableoid = {reservations_text}::pg_catalog.regclass AND r.ctid = ANY

--@ taken if lean id_unique
SELECT s.rs$n, s.rs$part, s.rs$place, {s_k}, s.rs$units
      FROM rs$seen s
     WHERE (s.rs$place IN (SELECT p.rs$place FROM rs$picked p)) IS TRUE

--@ taken
-- As many of its rows are locked as are active.
SELECT s.rs$n, s.rs$part, s.rs$place, {keys_of_s} s.rs$units
      FROM (SELECT s.*, pg_catalog.count(*) OVER (PARTITION BY s.rs$n) AS rs$locked_rows
              FROM rs$seen s
             WHERE ((s.rs$part, s.rs$place) IN (SELECT p.rs$part, p.rs$place FROM rs$picked p)) IS TRUE) s
     WHERE s.rs$locked_rows = s.rs$active_rows

--@ keys_of_s if counters
{s_k},

--@ keys_of_s

--@ flip if calls
-- Nothing is changed here: a function of the shop's gets what was taken (sql/call.sql).
SELECT t.rs$n, t.rs$part, t.rs$place, t.rs$units, false AS rs$still_active
      FROM rs$taken t

--@ flip if lean
UPDATE {reservations} r
       SET {released}
     WHERE {rows_at_one} (ARRAY(SELECT t.rs$place FROM rs$taken t))
    RETURNING {active} IS TRUE AS rs$still_active

--@ flip if deletes
DELETE FROM {reservations} r
     {of_taken}, false AS rs$still_active

--@ flip
UPDATE {reservations} r
       SET {released}
     {of_taken}, {active} IS TRUE AS rs$still_active

--@ of_taken
-- A join, since it has to say which row it did not change.
{from_taken} rs$taken t
     WHERE r.tableoid = t.rs$part AND r.ctid = t.rs$place
    RETURNING t.rs$n, t.rs$part, t.rs$place, {keys_of_t} t.rs$units

--@ from_taken if deletes
USING

--@ from_taken
FROM

--@ keys_of_t if counters
{t_k},

--@ keys_of_t

-- ---- The lean form

--@ and_stocked if lean
, rs$stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM (SELECT {k}, pg_catalog.sum(rs$units) AS rs$units FROM rs$taken GROUP BY {k}) m
     WHERE {i_is_m}
    RETURNING {m_k}, {counter_known} AS rs$known
)

--@ answer if lean
SELECT s.rs$n AS n, {latest_due} AS due_at,
       CASE WHEN s.rs$active AND s.rs$n IN (SELECT t.rs$n FROM rs$taken t) THEN s.rs$units END AS units,
       CASE WHEN s.rs$active AND (({s_k}) IN (SELECT {h_k} FROM rs$held h)) IS NOT TRUE
            THEN coalesce({s_key_text}, '') END AS unheld,
       s.rs$place IS NOT NULL AS found, coalesce(s.rs$active_rows, 0) AS active_rows, {due} AS due,
       1 / CASE WHEN s.rs$active AND (s.rs$units % 1 = 0) IS NOT TRUE
                  OR s.rs$part <> {reservations_text}::pg_catalog.regclass
                  OR {one_row_each}
                  OR (SELECT pg_catalog.count(*) FROM rs$taken)
                     <> (SELECT pg_catalog.count(*) FROM rs$flipped f WHERE NOT f.rs$still_active)
                  OR {meddled}
                  OR (SELECT pg_catalog.row_security_active({reservations_text})
                             OR pg_catalog.row_security_active({inventory_text})
                             OR pg_catalog.count(*)
                                <> pg_catalog.count(DISTINCT CASE WHEN c.rs$known THEN {c_k} END)
                        FROM rs$stocked c)
                THEN 0 ELSE 1 END AS adds_up,
       0 AS noted
  FROM rs$seen s

--@ one_row_each if id_unique
-- The index that promised it may have been dropped.
(SELECT pg_catalog.count(*) <> pg_catalog.count(DISTINCT x.rs$n) FROM rs$seen x)

--@ one_row_each
false

-- ---- The explaining form

--@ and_stocked if counters
, rs$moved AS MATERIALIZED (
    SELECT {b_k}, pg_catalog.sum(b.rs$units) AS rs$units, pg_catalog.count(b.rs$counter) AS rs$counters,
           pg_catalog.min(b.rs$free) AS rs$free, pg_catalog.min(b.rs$held) AS rs$held
      FROM (SELECT {f_k}, 1 AS rs$flipped, f.rs$units, NULL AS rs$counter, NULL AS rs$free,
                   NULL AS rs$held
              FROM rs$flipped f
             UNION ALL
            SELECT {h_k}, NULL, NULL, 1, h.rs$free, h.rs$held
              FROM rs$held h) b
     GROUP BY {b_k}
    HAVING pg_catalog.count(b.rs$flipped) > 0
), rs$stocked AS (
    UPDATE {inventory} i
       {set_stock}
      FROM rs$moved m
     WHERE {i_is_m} AND m.rs$counters > 0 AND m.rs$units - m.rs$units = 0
    RETURNING {m_k}, m.rs$counters = 1 {and_free_adds_up}
                            {and_held_adds_up} AS rs$adds_up
)

--@ and_stocked

--@ and_free_adds_up if free
AND i.{free} - m.rs$free = m.rs$units

--@ and_free_adds_up

--@ and_held_adds_up if held
AND m.rs$held - i.{held} = m.rs$units

--@ and_held_adds_up

--@ answer
SELECT s.rs$n AS n, {latest_due} AS due_at,
       CASE WHEN s.rs$flipped THEN s.rs$units END AS units,
       {unheld} AS unheld,
       s.rs$place IS NOT NULL AS found, s.rs$active_rows AS active_rows, {due} AS due,
       CASE WHEN s.rs$active
                 AND (s.rs$flipped AND NOT s.rs$still_active AND s.rs$units - s.rs$units = 0) IS NOT TRUE
                 AND (SELECT pg_catalog.count(*) FROM rs$taken)
                     <> (SELECT pg_catalog.count(*) FROM rs$flipped f
                          WHERE NOT f.rs$still_active AND f.rs$units - f.rs$units = 0)
            THEN pg_catalog.concat(
                     '<sweeper row>queue ', {queue_text},
                     CASE WHEN NOT s.rs$flipped THEN {not_changed}
                          WHEN s.rs$still_active THEN
                               ': the row is still active after `released`: what that sets leaves `active` true, or '
                          ELSE pg_catalog.concat(': the row cannot be given back, with the quantity ',
                                       coalesce(s.rs$units::pg_catalog.text, 'NULL'), ': ') END,
                     'a trigger, a rule, row security or a column of table ',
                     {reservations_text}, ' stands in the way'{of_the_key}, '</sweeper>')::integer
            {or_counter_wrong}
            WHEN {meddled}
            THEN pg_catalog.concat('<sweeper tables>the triggers of the tables have changed</sweeper>',
                                   s.rs$n - s.rs$n)::integer
            {or_hidden} {or_not_extended}
             END AS adds_up,
       {noted} AS noted{and_kept_told}
  FROM (SELECT s.*, {counters_of_s} {extended_of_s}
               ((s.rs$part, s.rs$place) IN (SELECT f.rs$part, f.rs$place FROM rs$flipped f)) IS TRUE AS rs$flipped,
               ((s.rs$part, s.rs$place) IN (SELECT f.rs$part, f.rs$place FROM rs$flipped f
                                             WHERE f.rs$still_active)) IS TRUE AS rs$still_active
          FROM rs$seen s
        OFFSET 0) s

--@ unheld if counters
CASE WHEN s.rs$active {and_ours} AND s.rs$held IS NOT TRUE
            THEN coalesce({s_key_text}, '') END

--@ unheld
NULL::pg_catalog.text

--@ not_changed if deletes
': the row was not deleted by `released: delete`: '

--@ not_changed
': the row was not changed by the release: '

--@ of_the_key if counters
, ' (product ', coalesce({s_key_text}, 'NULL'), ')'

--@ of_the_key

--@ counters_of_s if counters
({s_k}) IN (SELECT {h_k} FROM rs$held h) AS rs$held,
               ({s_k}) IN (SELECT {c_k} FROM rs$stocked c
                                 GROUP BY {c_k}
                                HAVING pg_catalog.count(*) = 1
                                   AND pg_catalog.bool_and(c.rs$adds_up)) AS rs$adds_up,

--@ counters_of_s

--@ or_counter_wrong if counters
WHEN s.rs$flipped AND s.rs$held AND s.rs$adds_up IS NOT TRUE
            THEN pg_catalog.concat(
                     '<sweeper counter>the counter of product ', {s_key_text},
                     ' was not changed, once and by exactly its units: row security, a trigger, a'
                     ' rule or the type of a column of table ', {inventory_text},
                     ', or a second row of the product, stands in the way</sweeper>')::integer
            WHEN s.rs$flipped AND {s_key_text} IS NOT NULL AND s.rs$held IS NOT TRUE
                 AND pg_catalog.row_security_active({inventory_text})
            THEN pg_catalog.concat(
                     '<sweeper counter>the counter of product ', {s_key_text},
                     ' cannot be seen: row security of table ', {inventory_text},
                     ' is in force for this role</sweeper>')::integer

--@ or_counter_wrong

--@ or_hidden if counters waiting counters_hidden
-- A counter that can be seen, and was not to be had by waiting, is kept from us by row security.
WHEN {takeable} AND s.rs$held IS NOT TRUE
 AND ({s_k}) IN (SELECT {counter_keys} FROM {inventory} i)
 THEN pg_catalog.concat('<sweeper counter>the counter of product ', {s_key_text},
 ' can be seen and not changed: row security of table ', {inventory_text},
 ' stands in the way</sweeper>')::integer

--@ or_hidden

-- ---- What is told to the statements that follow in the transaction

--@ noted if calls
-- For sql/call.sql, and what sql/release_check.sql is told where that gives nothing back.
(SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.taken',
 coalesce(pg_catalog.jsonb_agg(DISTINCT t.rs$n), '[]')::pg_catalog.text, true)) FROM rs$taken t)
 + pg_catalog.length(pg_catalog.set_config('reservation_sweeper.released', pg_catalog.jsonb_build_object(
 'rows', '[]'::pg_catalog.jsonb, 'counters', '[]'::pg_catalog.jsonb)::pg_catalog.text, true))

--@ noted if also
{changes_noted} + {holds_noted}

--@ noted if meddled
{changes_noted}

--@ noted
0

--@ changes_noted
-- What sql/release_check.sql compares with: a setting of the transaction. The length, since the answer
-- has a row for each reservation.
(SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.released',
 pg_catalog.jsonb_build_object(
'rows', (SELECT coalesce(pg_catalog.jsonb_agg(DISTINCT f.rs$n), '[]') FROM rs$flipped f),
 'counters', {counters_noted})::pg_catalog.text, true)))

--@ counters_noted if counters meddled
(SELECT coalesce(pg_catalog.jsonb_agg(pg_catalog.jsonb_build_array(
m.rs$free + m.rs$units, m.rs$held - m.rs$units, {m_key_texts})), '[]')
 FROM rs$moved m WHERE m.rs$counters > 0)

--@ counters_noted
'[]'::pg_catalog.jsonb

--@ holds_noted
-- What `{released}` is made of in the operator's own statements: each column an array of texts, a row
-- an element. They are the values from before.
(SELECT pg_catalog.length(pg_catalog.set_config('reservation_sweeper.holds',
 pg_catalog.json_build_object({also_told})::pg_catalog.text, true))
 FROM rs$seen s
 WHERE ((s.rs$part, s.rs$place) IN (SELECT f.rs$part, f.rs$place FROM rs$flipped f)) IS TRUE)

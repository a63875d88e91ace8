-- How many reservations are due, and since when: what a start says, and may be stopped by.
--
-- $1  count no further than this
-- Answer: how many, $1 at most; when the oldest of them was due, in microseconds since the epoch (NULL:
--   none is, or it is none of the first thousand rows)
--
-- Of the rows of an id that are due, the last one is counted: streamed, so that it ends with $1. OFFSET 0
-- keeps it so, and of a walk through the history: see due_rows.sql. What else an id has is one look-up by key,
-- and by nothing else: of a table that was never analyzed the planner would read an index of all active rows
-- for each.
SELECT (SELECT pg_catalog.count(*)
          FROM (SELECT
                  FROM ({due}) d
                 WHERE {is_last_of_its_id}
                 LIMIT $1::bigint) counted),
       (SELECT pg_catalog.min({p_due_us})
          FROM (SELECT d.*
                  FROM ({due}) d
                 ORDER BY d.rs$at
                 LIMIT 1000) p
         WHERE (SELECT true FROM (SELECT p.rs$id, p.rs$at, p.rs$part, p.rs$place) d
                 WHERE {is_last_of_its_id}))

--@ due
SELECT r.{id} AS rs$id, {row_at} AS rs$at, r.tableoid AS rs$part, r.ctid AS rs$place
                          FROM {reservations} r
                         WHERE {typed}
                           AND {active}
                           AND {row_by_now}
                           {and_row_counts}
                        OFFSET 0

--@ is_last_of_its_id if id_unique
true

--@ is_last_of_its_id
NOT EXISTS (SELECT
                                     FROM (SELECT {active} AS rs$active, {row_is_endless} AS rs$endless,
                                                  {row_at} AS rs$at, r.tableoid AS rs$part, r.ctid AS rs$place
                                             FROM {reservations} r
                                            WHERE r.{id} = d.rs$id
                                           OFFSET 0) x
                                    WHERE x.rs$active
                                      AND (x.rs$endless
                                           OR (x.rs$at, x.rs$part, x.rs$place) > (d.rs$at, d.rs$part, d.rs$place)))

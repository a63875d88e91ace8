-- Active rows that are never due, by some mistake: without an id, or with an expiry that is no time at all.
--
-- Answer: for each kind of which there is one, one of them: "id" or "time"; its id, or where it lies; its expiry
SELECT 'id' AS what, n.rs$place::pg_catalog.text, n.rs$at::pg_catalog.text
  FROM (SELECT r.ctid AS rs$place, r.{expires_at} AS rs$at
          FROM {reservations} r
         WHERE {typed}
           AND r.{id} IS NULL
           AND {active}
         LIMIT 1) n
{and_times}

--@ and_times if bigint_times
 UNION ALL
SELECT 'time', coalesce(t.rs$id::pg_catalog.text, t.rs$place::pg_catalog.text), t.rs$at::pg_catalog.text
  FROM ({before}
         UNION ALL
        {behind}
         LIMIT 1) t

--@ and_times

--@ before
(SELECT r.{id} AS rs$id, r.ctid AS rs$place, r.{expires_at} AS rs$at
           FROM {reservations} r
          WHERE r.{expires_at} < {first_time}
            AND {active}
          LIMIT 1)

--@ behind
(SELECT r.{id}, r.ctid, r.{expires_at}
           FROM {reservations} r
          WHERE r.{expires_at} > {last_time}
            AND {active}
          LIMIT 1)

-- A page of stock counters, compared in one snapshot with the holds that they count: where counters say what is
-- held. Else there is nothing to ask.
--
-- $1      at most so many keys
-- $2 ...  only counters whose key comes after this, the end of the last page, a parameter for each of its
--         columns; NULL: from the first
-- Answer: keys in this page; whether row security may hide rows from this role; the last key, a column for each
--   of its; then, on a row for each key whose counter drifted (one row without, when none did): the key, what is
--   free, held and in total (NULL: no such column), the sum of the holds, how many counters have the key (more
--   than one: their sums), and whether the sum is a number (a quantity may be NULL or NaN)
{stock}

--@ stock if counters held
WITH rs$page AS MATERIALIZED (
    SELECT {c_k}, pg_catalog.sum(c.rs$free) AS rs$free, pg_catalog.sum(c.rs$held) AS rs$held,
           pg_catalog.sum(c.rs$total) AS rs$total, pg_catalog.count(*) AS rs$counters
      FROM (SELECT {counter_keys}, {free_of_i} AS rs$free, i.{held} AS rs$held, {total} AS rs$total
              FROM {inventory} i) c
     -- A counter without a key is no hold's.
     WHERE ({c_k}) IS NOT NULL
       AND (({c_k}) > ({next_params}) OR $2 IS NULL)
     GROUP BY {c_k}
     ORDER BY {c_k}
     LIMIT $1::int
), rs$sums AS MATERIALIZED (
    SELECT {u_k}, pg_catalog.sum(u.rs$units) AS rs$units, pg_catalog.bool_and(u.rs$known) AS rs$known
      FROM ({sums}) u
     GROUP BY {u_k}
)
SELECT a.rs$n, {hidden} AS rs$hidden, l.*, d.*
  FROM (SELECT pg_catalog.count(*) AS rs$n FROM rs$page) a
  LEFT JOIN (SELECT {p_key_texts} FROM rs$page p ORDER BY ({p_k}) DESC LIMIT 1) l ON true
  LEFT JOIN (
    SELECT {p_key_texts}, p.rs$free, p.rs$held, p.rs$total,
           coalesce(s.rs$units, 0), p.rs$counters, coalesce(s.rs$known, true)
      FROM rs$page p
      LEFT JOIN rs$sums s ON ({s_k}) = ({p_k})
     WHERE p.rs$held IS DISTINCT FROM coalesce(s.rs$units, 0){or_free_differs}
        OR p.rs$counters > 1 OR NOT s.rs$known) d ON true

--@ stock

--@ or_free_differs if free
OR p.rs$free IS NULL OR p.rs$free + p.rs$held <> p.rs$total

--@ or_free_differs

-- Keys that have several counters, for --check-config: asked when no unique index forbids it.
--
-- Answer, at most three rows, worst first: the key, how many counters
SELECT pg_catalog.left({s_key_text}, 80), pg_catalog.count(*)
  FROM (SELECT {counter_keys} FROM {inventory} i) s
 WHERE ({s_k}) IS NOT NULL
 GROUP BY {s_k}
HAVING pg_catalog.count(*) > 1
 ORDER BY 2 DESC, 1
 LIMIT 3

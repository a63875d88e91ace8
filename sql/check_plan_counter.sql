-- Which index finds the counter of a key, for --check-config: see check_plan_id.sql.
EXPLAIN (COSTS OFF)
SELECT FROM (SELECT {counter_keys} FROM (SELECT (NULL::{inventory}).*) i OFFSET 0) m
 CROSS JOIN LATERAL (SELECT FROM {inventory} i WHERE {i_is_m} OFFSET 0) v

-- Which index finds what is due, for --check-config: see check_plan_id.sql.
EXPLAIN (COSTS OFF)
SELECT FROM {reservations} r WHERE {releasable}

-- Which index finds what is due, for --check-config: see check_plan_id.sql. In order, so that an index by
-- expiry is the best: of an empty table the planner thinks that each other one is as good.
EXPLAIN (COSTS OFF)
SELECT FROM {reservations} r WHERE {releasable} ORDER BY r.{expires_at}

-- Which index finds what is due, for --check-config: see check_plan_id.sql. In order, and without a sort, so that
-- an index by expiry is the best: where all is due, or nothing is there, the planner thinks each other one as good.
EXPLAIN (COSTS OFF)
SELECT FROM {reservations} r WHERE {releasable} ORDER BY r.{expires_at}

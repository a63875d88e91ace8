-- Which index finds the rows of an id, for --check-config: the plan says it, where tables are read whole
-- only when there is no other way. The id is not a constant, since of NULL there would be nothing to find.
EXPLAIN (COSTS OFF)
SELECT FROM (SELECT r.{id} AS rs$id FROM (SELECT (NULL::{reservations}).*) r OFFSET 0) a
 CROSS JOIN LATERAL (SELECT FROM {reservations} r WHERE r.{id} = a.rs$id OFFSET 0) v

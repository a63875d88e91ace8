-- Whether this role sees any row, for --check-config: asked where row security is in force.
--
-- Answer, one row: any reservation, any counter
SELECT EXISTS (SELECT FROM {reservations}), EXISTS (SELECT FROM {inventory})

-- Whether this role sees any row, for --check-config: asked where row security is in force.
--
-- Answer, one row: any hold, any counter
SELECT EXISTS (SELECT FROM {reservations}), {any_counter}

--@ any_counter if counters
EXISTS (SELECT FROM {inventory})

--@ any_counter
false

-- More time for all holds that are active, as if the clock had stood still meanwhile. The sweeper never
-- sends it: it is for whoever ends a pause, with the shop's own rights (docs/OPERATIONS.md).
--
-- $1  how much more, an interval: '90 minutes'
-- Answer: how many rows were changed, in the command's tag
UPDATE {reservations} r
   SET {expires_at} = {prolonged}
 WHERE {active}

--@ prolonged if bigint_times
r.{expires_at} + (extract(epoch FROM $1::interval) * 1000000)::bigint / {us_of_unit}

--@ prolonged if zone_bends
(r.{expires_at} AT TIME ZONE {zone} + $1::interval) AT TIME ZONE {zone}

--@ prolonged
r.{expires_at} + $1::interval

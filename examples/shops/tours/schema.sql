-- Tours: a booking has no expiry; it has 15 minutes from its creation. Its times are local times.
CREATE TABLE departures (
    id integer PRIMARY KEY,
    seats_total integer NOT NULL,
    seats_taken integer NOT NULL DEFAULT 0 CHECK (seats_taken BETWEEN 0 AND seats_total)
);

CREATE TABLE bookings (
    id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
    departure_id integer NOT NULL REFERENCES departures,
    seats smallint NOT NULL CHECK (seats > 0),
    state varchar(16) NOT NULL DEFAULT 'pending', -- pending, booked, lapsed
    created_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'Europe/Berlin')
);
CREATE INDEX bookings_pending ON bookings (created_at) WHERE state = 'pending';

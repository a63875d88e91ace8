-- A cinema: a reservation of several seats, each of which points back at it.
CREATE TABLE reservations (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status text NOT NULL DEFAULT 'PENDING', -- PENDING, CONFIRMED, EXPIRED
    expires_at timestamptz NOT NULL
);
CREATE INDEX reservations_due ON reservations (expires_at) WHERE status = 'PENDING';

CREATE TABLE showtime_seat_status (
    showtime_id integer NOT NULL,
    seat_id integer NOT NULL,
    status text NOT NULL DEFAULT 'AVAILABLE', -- AVAILABLE, HELD, SOLD
    held_by_reservation_id integer REFERENCES reservations,
    PRIMARY KEY (showtime_id, seat_id)
);
CREATE INDEX showtime_seat_status_held ON showtime_seat_status (held_by_reservation_id);

-- Tickets, in the shape of alf.io: a reservation is a row of its own, its tickets point at it, and when it
-- expires it goes. What else that means is in one function of the shop's.
CREATE TABLE promo_code (
    id integer PRIMARY KEY,
    used integer NOT NULL DEFAULT 0 CHECK (used >= 0)
);

CREATE TABLE tickets_reservation (
    id character(36) PRIMARY KEY,
    validity timestamptz NOT NULL,
    status text NOT NULL DEFAULT 'PENDING', -- PENDING, IN_PAYMENT, COMPLETE
    promo_code_id integer REFERENCES promo_code
);
CREATE INDEX tickets_reservation_pending ON tickets_reservation (validity) WHERE status = 'PENDING';

CREATE TABLE ticket (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event_id integer NOT NULL,
    status text NOT NULL DEFAULT 'FREE', -- FREE, PENDING, ACQUIRED
    full_name text,
    tickets_reservation_id character(36) REFERENCES tickets_reservation
);
CREATE INDEX ticket_reservation ON ticket (tickets_reservation_id);

CREATE TABLE reservation_history (
    reservation_id character(36) NOT NULL,
    tickets integer NOT NULL,
    validity timestamptz NOT NULL,
    expired_at timestamptz NOT NULL
);

-- Frees the tickets of these reservations, gives their promo codes back, keeps a line of history, and deletes
-- them. The reservations are locked by whoever calls; tickets and codes are locked in the order of their ids.
CREATE FUNCTION expire_reservations(ids character(36)[]) RETURNS SETOF character(36)
    LANGUAGE plpgsql AS $$
BEGIN
    PERFORM FROM ticket WHERE tickets_reservation_id = ANY (ids) ORDER BY id FOR UPDATE;
    INSERT INTO reservation_history (reservation_id, tickets, validity, expired_at)
    SELECT r.id, count(t.id), r.validity, now()
      FROM tickets_reservation r LEFT JOIN ticket t ON t.tickets_reservation_id = r.id
     WHERE r.id = ANY (ids)
     GROUP BY r.id;
    UPDATE ticket SET status = 'FREE', full_name = NULL, tickets_reservation_id = NULL
     WHERE tickets_reservation_id = ANY (ids);

    PERFORM FROM promo_code
      WHERE id IN (SELECT promo_code_id FROM tickets_reservation WHERE id = ANY (ids))
      ORDER BY id FOR UPDATE;
    UPDATE promo_code p SET used = used - gone.n
      FROM (SELECT promo_code_id, count(*) AS n FROM tickets_reservation
             WHERE id = ANY (ids) GROUP BY promo_code_id) gone
     WHERE p.id = gone.promo_code_id;

    RETURN QUERY DELETE FROM tickets_reservation WHERE id = ANY (ids) RETURNING id;
END
$$;

-- A raffle: each ticket is a row that is always there; who reserves it writes his name on it.
CREATE TYPE ticket_status AS ENUM ('available', 'reserved', 'sold');

CREATE TABLE tickets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raffle_id integer NOT NULL,
    number integer NOT NULL,
    status ticket_status NOT NULL DEFAULT 'available',
    reserved_by text,
    reserved_until timestamptz,
    UNIQUE (raffle_id, number)
);
CREATE INDEX tickets_due ON tickets (reserved_until) WHERE status = 'reserved';

-- A payment begins with the ticket's row locked FOR UPDATE and found reserved. The foreign key keeps the ticket
-- from being released while its payment is being inserted.
CREATE TABLE payments (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_id bigint NOT NULL REFERENCES tickets,
    state text NOT NULL DEFAULT 'pending' CHECK (state IN ('pending', 'paid', 'failed'))
);
CREATE INDEX payments_pending ON payments (ticket_id) WHERE state = 'pending';

CREATE TABLE lost_tickets (
    ticket_id bigint NOT NULL REFERENCES tickets,
    raffle_id integer NOT NULL,
    reserved_by text,
    reserved_until timestamptz NOT NULL
);

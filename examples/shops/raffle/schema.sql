-- A raffle: each ticket is a row that is always there; who reserves it writes his name on it.
CREATE TYPE ticket_status AS ENUM ('available', 'reserved', 'sold');

CREATE TABLE tickets (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    raffle_id integer NOT NULL,
    number integer NOT NULL,
    status ticket_status NOT NULL DEFAULT 'available',
    reserved_by text,
    reserved_until timestamptz,
    payment_id text, -- set when a payment begins, NULL again when it has failed
    UNIQUE (raffle_id, number)
);
CREATE INDEX tickets_due ON tickets (reserved_until) WHERE status = 'reserved';

CREATE TABLE lost_tickets (
    ticket_id bigint NOT NULL REFERENCES tickets,
    raffle_id integer NOT NULL,
    reserved_by text,
    reserved_until timestamptz NOT NULL
);

-- Concerts: a trigger of the shop's keeps the number of tickets that are left.
CREATE TABLE ticket_types (
    id integer PRIMARY KEY,
    remaining integer NOT NULL CHECK (remaining >= 0)
);

CREATE TABLE ticket_holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    ticket_type_id integer NOT NULL REFERENCES ticket_types,
    quantity integer NOT NULL CHECK (quantity > 0),
    status text NOT NULL DEFAULT 'held', -- held, paid, expired
    expires_at timestamptz NOT NULL
);
CREATE INDEX ticket_holds_due ON ticket_holds (expires_at) WHERE status = 'held';

CREATE FUNCTION restock() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    UPDATE ticket_types SET remaining = remaining + OLD.quantity WHERE id = OLD.ticket_type_id;
    RETURN NULL;
END
$$;
CREATE TRIGGER restock AFTER UPDATE OF status ON ticket_holds FOR EACH ROW
    WHEN (OLD.status = 'held' AND NEW.status = 'expired') EXECUTE FUNCTION restock();

-- Who changed what becomes of a hold: whoever is named by a setting of the transaction.
CREATE TABLE ticket_history (
    hold_id bigint NOT NULL REFERENCES ticket_holds,
    was text NOT NULL,
    became text NOT NULL,
    changed_by text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE FUNCTION write_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO ticket_history (hold_id, was, became, changed_by)
    VALUES (OLD.id, OLD.status, NEW.status, coalesce(current_setting('concert.actor', true), 'unknown'));
    RETURN NULL;
END
$$;
CREATE TRIGGER write_history AFTER UPDATE OF status ON ticket_holds FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status) EXECUTE FUNCTION write_history();

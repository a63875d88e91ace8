-- Spree 5: a row is the hold, and what is released is deleted. There is no status.
CREATE TABLE spree_stock_reservations (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    line_item_id bigint NOT NULL,
    order_id bigint NOT NULL,
    quantity integer NOT NULL CHECK (quantity > 0),
    expires_at timestamp(6) NOT NULL -- in UTC, as Rails writes it
);
CREATE INDEX index_spree_stock_reservations_on_expires_at ON spree_stock_reservations (expires_at);

CREATE TABLE spree_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    event text NOT NULL,
    payload jsonb NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);

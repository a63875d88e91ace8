-- The tables of a new project. An existing database is used as it is: the sweeper needs no more
-- than SELECT and UPDATE on tables like these two.
--
-- Safe to run twice.

CREATE TABLE IF NOT EXISTS inventory (
    product_id      uuid PRIMARY KEY,
    total_stock     integer NOT NULL,
    available_stock integer NOT NULL CHECK (available_stock >= 0),
    reserved_stock  integer NOT NULL DEFAULT 0 CHECK (reserved_stock >= 0),
    updated_at      timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT inventory_stock_adds_up CHECK (total_stock = available_stock + reserved_stock)
) WITH (fillfactor = 50); -- counters change all the time: room for HOT updates on the same page

CREATE TABLE IF NOT EXISTS inventory_reservations (
    id         uuid NOT NULL,
    product_id uuid NOT NULL,
    quantity   integer NOT NULL CHECK (quantity > 0),
    expires_at timestamptz NOT NULL,
    status     text NOT NULL DEFAULT 'active'
               CHECK (status IN ('active', 'committed', 'released')),
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (id, product_id)
);

-- What is due, and nothing else. An index on status, or one on expires_at over all rows, would
-- have to be maintained by each release and would grow with the history: this one shrinks with it
-- (docs/design/release-statement.md, "What the statement costs").
CREATE INDEX IF NOT EXISTS inventory_reservations_due
    ON inventory_reservations (expires_at) WHERE status = 'active';

-- "Which reservations hold this product's stock?": for the API's pages and for --reconcile.
CREATE INDEX IF NOT EXISTS inventory_reservations_active_product
    ON inventory_reservations (product_id) WHERE status = 'active';

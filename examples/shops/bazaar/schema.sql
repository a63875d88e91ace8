-- A bazaar: carts and offers hold units of the same products, in one table.
CREATE TABLE products (
    sku text PRIMARY KEY,
    stock bigint NOT NULL CHECK (stock >= 0)
);

CREATE TABLE holds (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('cart', 'offer')),
    sku text NOT NULL REFERENCES products,
    units integer NOT NULL CHECK (units > 0),
    state text NOT NULL DEFAULT 'open', -- open, bought, lapsed
    expires_at timestamptz, -- NULL: an offer without an end
    closed_at timestamptz
);
CREATE INDEX holds_open_carts ON holds (expires_at) WHERE kind = 'cart' AND state = 'open';
CREATE INDEX holds_open_offers ON holds (expires_at) WHERE kind = 'offer' AND state = 'open';

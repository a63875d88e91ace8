-- A shop with warehouses: an order holds several variants, each in a warehouse.
CREATE TABLE orders (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    status text NOT NULL DEFAULT 'PENDING', -- PENDING, PAID, CANCELLED, EXPIRED
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC')
);

CREATE TABLE inventory_stocks (
    variant_id integer NOT NULL,
    warehouse_id integer NOT NULL,
    quantity_on_hand integer NOT NULL,
    quantity_reserved integer NOT NULL DEFAULT 0,
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    PRIMARY KEY (variant_id, warehouse_id),
    CHECK (quantity_reserved BETWEEN 0 AND quantity_on_hand)
);

CREATE TABLE inventory_reservations (
    order_id bigint NOT NULL REFERENCES orders,
    variant_id integer NOT NULL,
    warehouse_id integer NOT NULL,
    reserved_quantity integer NOT NULL CHECK (reserved_quantity > 0),
    reservation_status text NOT NULL DEFAULT 'RESERVED', -- RESERVED, CONFIRMED, SHIPPED, RELEASED
    expires_at timestamp, -- in UTC; NULL: confirmed holds have no end
    updated_at timestamp NOT NULL DEFAULT (now() AT TIME ZONE 'UTC'),
    PRIMARY KEY (order_id, variant_id, warehouse_id),
    FOREIGN KEY (variant_id, warehouse_id) REFERENCES inventory_stocks
);
CREATE INDEX inventory_reservations_due ON inventory_reservations (expires_at)
    WHERE reservation_status = 'RESERVED';

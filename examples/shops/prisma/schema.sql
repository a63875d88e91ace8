-- An API on Prisma: camelCase names, ids as text, an enum in capitals, times without a zone (in UTC).
CREATE TYPE "ReservationStatus" AS ENUM ('ACTIVE', 'COMMITTED', 'RELEASED', 'EXPIRED');

CREATE TABLE variant_inventory (
    "variantId" text PRIMARY KEY,
    quantity integer NOT NULL,
    "reservedQuantity" integer NOT NULL DEFAULT 0 CHECK ("reservedQuantity" >= 0),
    "availableQuantity" integer NOT NULL CHECK ("availableQuantity" >= 0),
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

CREATE TABLE inventory_reservations (
    id text PRIMARY KEY,
    "variantId" text NOT NULL REFERENCES variant_inventory,
    quantity integer NOT NULL CHECK (quantity > 0),
    status "ReservationStatus" NOT NULL DEFAULT 'ACTIVE',
    "expiresAt" timestamp(3), -- NULL: a hold without an end
    "releasedAt" timestamp(3),
    "releasedBy" text,
    "releaseReason" text,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);
CREATE INDEX inventory_reservations_due ON inventory_reservations ("expiresAt") WHERE status = 'ACTIVE';

CREATE TABLE inventory_ledger (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    "variantId" text NOT NULL REFERENCES variant_inventory,
    "changeType" text NOT NULL,
    quantity integer NOT NULL,
    "referenceId" text NOT NULL,
    "createdAt" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

-- Variants of which there were none left, and now there are some: whoever asked to be told reads it.
CREATE TABLE back_in_stock (
    "variantId" text NOT NULL REFERENCES variant_inventory,
    "at" timestamp(3) NOT NULL DEFAULT CURRENT_TIMESTAMP
);

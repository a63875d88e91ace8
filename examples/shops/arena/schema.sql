-- An arena: a schema of its own, names that need quotes, times in milliseconds since 1970.
CREATE SCHEMA box;

CREATE TABLE box."Section" (
    "group" text PRIMARY KEY,
    "freeSeats" integer NOT NULL CHECK ("freeSeats" >= 0),
    "heldSeats" integer NOT NULL DEFAULT 0 CHECK ("heldSeats" >= 0)
);

CREATE TABLE box."Seat.Hold" (
    "Hold Id" varchar(32) PRIMARY KEY,
    "group" text NOT NULL REFERENCES box."Section",
    seat integer NOT NULL,
    "order" text, -- NULL: not bought yet
    released boolean NOT NULL DEFAULT false,
    "untilMs" bigint NOT NULL
);
CREATE INDEX "Seat.Hold due" ON box."Seat.Hold" ("untilMs") WHERE "order" IS NULL AND NOT released;

--@ fill
-- What lies before 2001 or after 9999 is never due: seconds, and the largest number that there is.
INSERT INTO box."Section" SELECT 'block ' || s, 9000, 0 FROM generate_series(0, 3) AS s;
INSERT INTO box."Seat.Hold"
SELECT kind || i, 'block ' || i % 4, i, CASE WHEN kind = 'ended' AND i % 2 = 0 THEN 'ORD-' || i END,
       kind = 'ended' AND i % 2 = 1, ceil(extract(epoch FROM due) * 1000)
  FROM wanted WHERE due IS NOT NULL
UNION ALL
SELECT 'never ' || i, 'block 1', i, NULL, false, ms
  FROM unnest(ARRAY[1700000000, 0, -1, 9223372036854775807]) WITH ORDINALITY AS odd (ms, i);
UPDATE box."Section" AS s SET "heldSeats" = held, "freeSeats" = 9000 - held
  FROM (SELECT "group", count(*) AS held FROM box."Seat.Hold" WHERE "order" IS NULL AND NOT released GROUP BY 1) AS h
 WHERE h."group" = s."group";

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM box."Seat.Hold" WHERE "order" IS NULL AND NOT released
       AND "untilMs" > 978307200000 AND "untilMs" < extract(epoch FROM now() + interval '1 minute') * 1000;
UPDATE box."Seat.Hold" SET released = true WHERE "Hold Id" IN (SELECT "Hold Id" FROM gone);
UPDATE box."Section" AS s SET "heldSeats" = "heldSeats" - seats, "freeSeats" = "freeSeats" + seats
  FROM (SELECT "group", count(*) AS seats FROM gone GROUP BY 1) AS g WHERE g."group" = s."group";

--@ left
SELECT count(*) FROM box."Seat.Hold" WHERE "order" IS NULL AND NOT released
   AND "untilMs" > 978307200000 AND "untilMs" < extract(epoch FROM now() + interval '1 minute') * 1000

--@ wrong
SELECT "group" FROM box."Section" AS s
 WHERE "freeSeats" + "heldSeats" <> 9000
    OR "heldSeats" <> (SELECT count(*) FROM box."Seat.Hold" AS h
                        WHERE h."group" = s."group" AND "order" IS NULL AND NOT released)

--@ early
SELECT "Hold Id" FROM box."Seat.Hold" WHERE released AND "Hold Id" NOT LIKE 'ended%'
   AND pg_xact_commit_timestamp(xmin) < to_timestamp("untilMs" / 1000.0)

--@ new

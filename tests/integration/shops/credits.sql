--@ fill
INSERT INTO credit_accounts SELECT t, a, 9000, 0, 9000 FROM unnest('{north, south}'::text[]) AS t, unnest('{main, "spare, too"}'::text[]) AS a;
INSERT INTO credit_holds (tenant, account, amount, captured_at, expires_at)
SELECT CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END, CASE WHEN i % 3 = 0 THEN 'main' ELSE 'spare, too' END,
       (i % 50) * 0.0731, CASE kind WHEN 'ended' THEN timestamptz '2020-01-01 UTC' END, due
  FROM wanted WHERE due IS NOT NULL;
UPDATE credit_accounts AS a SET on_hold = held, balance = 9000 - held
  FROM (SELECT tenant, account, sum(amount) AS held FROM credit_holds WHERE captured_at IS NULL GROUP BY 1, 2) AS h
 WHERE (h.tenant, h.account) = (a.tenant, a.account);

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM credit_holds
     WHERE captured_at IS NULL AND voided_at IS NULL AND expires_at < now() + interval '1 minute';
UPDATE credit_holds SET voided_at = now() WHERE id IN (SELECT id FROM gone);
UPDATE credit_accounts AS a SET on_hold = on_hold - amount, balance = balance + amount
  FROM (SELECT tenant, account, sum(amount) AS amount FROM gone GROUP BY 1, 2) AS g
 WHERE (g.tenant, g.account) = (a.tenant, a.account);

--@ left
SELECT count(*) FROM credit_holds
 WHERE captured_at IS NULL AND voided_at IS NULL AND expires_at < now() + interval '1 minute'

--@ wrong
SELECT tenant, account FROM credit_accounts AS a
 WHERE on_hold <> (SELECT coalesce(sum(amount), 0) FROM credit_holds AS h
                    WHERE (h.tenant, h.account) = (a.tenant, a.account)
                      AND captured_at IS NULL AND voided_at IS NULL)

--@ early
SELECT id FROM credit_holds WHERE voided_at IS NOT NULL AND pg_xact_commit_timestamp(xmin) < expires_at

--@ new
credit_holds.voided_at

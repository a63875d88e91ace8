--@ fill
INSERT INTO products SELECT 'sku ' || p, 0 FROM generate_series(0, 9) AS p;
INSERT INTO holds (kind, sku, units, state, expires_at)
SELECT which, 'sku ' || i % 10, 1 + i % 3, CASE wanted.kind WHEN 'ended' THEN 'bought' ELSE 'open' END,
       due - CASE which WHEN 'offer' THEN interval '10 minutes' ELSE '0' END
  FROM wanted, unnest('{cart, offer}'::text[]) AS which
UNION ALL -- in its grace
SELECT 'offer', 'sku 1', 1, 'open', now() - interval '5 minutes';
UPDATE products SET stock = 9000 - (SELECT coalesce(sum(units), 0) FROM holds WHERE holds.sku = products.sku);

--@ release
CREATE TEMP TABLE gone ON COMMIT DROP AS
    SELECT * FROM holds
     WHERE state = 'open'
       AND expires_at < now() + CASE kind WHEN 'offer' THEN interval '-9 minutes' ELSE '1 minute' END;
UPDATE holds SET state = 'lapsed', closed_at = now() WHERE id IN (SELECT id FROM gone);
UPDATE products AS p SET stock = stock + units
  FROM (SELECT sku, sum(units) AS units FROM gone GROUP BY 1) AS g WHERE g.sku = p.sku;

--@ left
SELECT count(*) FROM holds WHERE state = 'open'
   AND expires_at < now() + CASE kind WHEN 'offer' THEN interval '-9 minutes' ELSE '1 minute' END

--@ wrong
SELECT sku FROM products
 WHERE stock <> 9000 - (SELECT coalesce(sum(units), 0) FROM holds
                         WHERE holds.sku = products.sku AND state <> 'lapsed')

--@ early
SELECT id FROM holds WHERE state = 'lapsed'
   AND pg_xact_commit_timestamp(xmin) < expires_at + CASE kind WHEN 'offer' THEN interval '10 minutes' ELSE '0' END

--@ new
holds.closed_at

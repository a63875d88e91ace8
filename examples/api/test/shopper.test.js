// The shopper against the API and real servers; one statement here stands for the sweeper.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, it } from 'node:test';

import { createApp } from '../src/app.js';
import { Mirror } from '../src/mirror.js';
import { GOODS, Shopper } from '../src/shopper.js';
import { Servers } from './servers.js';

const RELEASE = `
    WITH due AS (
        UPDATE inventory_reservations SET status = 'released', updated_at = now()
        WHERE status = 'active' AND expires_at <= now() RETURNING product_id, quantity
    ), units AS (SELECT product_id, sum(quantity)::integer AS n FROM due GROUP BY product_id)
    UPDATE inventory AS i
    SET available_stock = i.available_stock + n, reserved_stock = i.reserved_stock - n
    FROM units WHERE units.product_id = i.product_id`;

let servers, server, sweeper;

before(async () => {
    servers = await new Servers().start();
    const log = () => {};
    const app = createApp({ pool: servers.pool, mirror: new Mirror(servers.redis, log), log });
    server = app.listen(0, '127.0.0.1');
    await once(server, 'listening');
    let last = Promise.resolve();
    const timer = setInterval(() => (last = last.then(() => servers.pool.query(RELEASE))), 50);
    sweeper = { stop: () => (clearInterval(timer), last) };
});

after(async () => {
    await sweeper?.stop();
    server?.close();
    server?.closeAllConnections();
    await servers?.stop();
});

it('leaves half of the carts, and tells of their release', async () => {
    const lines = [];
    const url = `http://127.0.0.1:${server.address().port}`;
    const shopper = new Shopper({ url, say: (line) => lines.push(line), holdS: 1 });
    await shopper.restock();
    await Promise.all(Array.from({ length: 10 }, () => shopper.cart()));

    const { carts, bought, cancelled, left, released, latestMs } = shopper.tally;
    assert.deepEqual([carts, left, released, bought + cancelled], [10, 5, 5, 5]);
    assert.ok(latestMs >= 0);
    const release = /RELEASED by the sweeper, \d+ ms after its time/;
    const told = lines.filter((line) => release.test(line));
    assert.equal(told.length, 5);

    const { rows } = await servers.pool.query('SELECT reserved_stock FROM inventory');
    assert.deepEqual(rows, GOODS.map(() => ({ reserved_stock: 0 })));
});

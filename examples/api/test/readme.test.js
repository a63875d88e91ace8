// What the README shows to whoever writes an API: its snippet is taken from there and run.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, beforeEach, describe, it } from 'node:test';
import { pathToFileURL } from 'node:url';

import { Servers, waitUntil } from './servers.js';

const README = new URL('../../../README.md', import.meta.url);
const PENDING = '{reservations}:pending';

// The snippet as a module in the folder; its packages are the ones that are installed here.
async function snippet(folder) {
    const text = await readFile(README, 'utf8');
    const [, block] = text.match(/^```js\n(import pg from 'pg';[^]*?)^```$/m);
    const { resolve } = createRequire(import.meta.url);
    const code = block.replace(
        /from '(\w+)'/g,
        (_, name) => `from '${pathToFileURL(resolve(name))}'`,
    );
    const file = join(folder, 'snippet.mjs');
    await writeFile(file, code);
    return import(pathToFileURL(file));
}

describe("the README's snippet", () => {
    let servers, shop, product, id;

    const stock = async () => {
        const { rows } = await servers.pool.query(
            `SELECT total_stock AS total, available_stock AS available, reserved_stock AS reserved
             FROM inventory WHERE product_id = $1`,
            [product],
        );
        return rows[0];
    };

    const due = async () => {
        const { rows } = await servers.pool.query(
            `SELECT ceil(extract(epoch FROM expires_at) * 1000) AS ms
             FROM inventory_reservations WHERE id = $1`,
            [id],
        );
        return Number(rows[0].ms);
    };

    // Nobody waits for the entry, so it may come a moment later.
    const mirrored = (score) =>
        waitUntil(
            async () => (await servers.redis.zscore(PENDING, id)) === score,
            `the entry is ${score}`,
        );

    before(async () => {
        servers = await new Servers().start();
        const { host, user, password } = servers.pool.options;
        process.env.DATABASE_URL = `postgresql://${user}:${password}@/postgres?host=${host}`;
        process.env.REDIS_URL = servers.redis.options.path;
        shop = await snippet(servers.folder);
    });

    after(async () => {
        await shop?.close();
        await servers?.stop();
    });

    beforeEach(async () => {
        [product, id] = [randomUUID(), randomUUID()];
        await servers.pool.query(
            `INSERT INTO inventory (product_id, total_stock, available_stock, reserved_stock)
             VALUES ($1, 10, 10, 0)`,
            [product],
        );
    });

    it('reserves and extends, and mirrors both', async () => {
        await shop.reserve(id, [{ productId: product, quantity: 3 }], 60);
        assert.deepEqual(await stock(), { total: 10, available: 7, reserved: 3 });
        const first = await due();
        await mirrored(String(first));
        await shop.extend(id, 600);
        assert.ok((await due()) > first + 500_000);
        await mirrored(String(await due()));
    });

    it('commits: the goods leave the stock, the entry goes', async () => {
        await shop.reserve(id, [{ productId: product, quantity: 3 }], 60);
        await mirrored(String(await due()));
        await shop.commit(id);
        assert.deepEqual(await stock(), { total: 7, available: 7, reserved: 0 });
        await mirrored(null);
        await assert.rejects(shop.cancel(id), /is gone/);
    });

    it('cancels: the goods come back, the entry goes', async () => {
        await shop.reserve(id, [{ productId: product, quantity: 3 }], 60);
        await mirrored(String(await due()));
        await shop.cancel(id);
        assert.deepEqual(await stock(), { total: 10, available: 10, reserved: 0 });
        await mirrored(null);
    });

    it('sells nothing that has expired, and nothing that is not there', async () => {
        await shop.reserve(id, [{ productId: product, quantity: 3 }], 0);
        await assert.rejects(shop.commit(id), /is gone/);
        await assert.rejects(shop.extend(id, 60), /is gone/);
        assert.deepEqual(await stock(), { total: 10, available: 7, reserved: 3 });
        const more = [{ productId: product, quantity: 8 }];
        await assert.rejects(shop.reserve(randomUUID(), more, 60), /out of stock/);
        assert.deepEqual(await stock(), { total: 10, available: 7, reserved: 3 });
    });
});

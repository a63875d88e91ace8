// The API against a real Postgres and Redis.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { after, before, beforeEach, describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';

import { createApp } from '../src/app.js';
import { Mirror } from '../src/mirror.js';
import { Servers, waitUntil } from './servers.js';

const PENDING = '{reservations}:pending';

describe('the API', () => {
    let servers, server, url, lines, product;

    const listen = async (mirror) => {
        const app = createApp({ pool: servers.pool, mirror, log: (line) => lines.push(line) });
        const listening = app.listen(0, '127.0.0.1');
        await once(listening, 'listening');
        return [listening, `http://127.0.0.1:${listening.address().port}`];
    };

    const call = async (method, path, body, base = url) => {
        const response = await fetch(base + path, {
            method,
            headers: { 'content-type': 'application/json' },
            body: body && (typeof body === 'string' ? body : JSON.stringify(body)),
        });
        return { status: response.status, body: await response.json() };
    };

    const stock = async (id = product) => {
        const { rows } = await servers.pool.query(
            `SELECT total_stock AS total, available_stock AS available, reserved_stock AS reserved
             FROM inventory WHERE product_id = $1`,
            [id],
        );
        return rows[0];
    };

    const reserve = async (quantity = 2, holdSeconds = 60) => {
        const items = [{ productId: product, quantity }];
        const { status, body } = await call('POST', '/reservations', { items, holdSeconds });
        assert.equal(status, 201, body.error);
        return body.id;
    };

    const delivered = async () => {
        const id = randomUUID();
        const answer = await call('POST', `/products/${id}/deliveries`, { quantity: 10 });
        assert.equal(answer.status, 201);
        return id;
    };

    const score = (id) => servers.redis.zscore(PENDING, id);

    before(async () => {
        servers = await new Servers().start();
        lines = [];
        [server, url] = await listen(new Mirror(servers.redis, (line) => lines.push(line)));
    });

    after(async () => {
        server?.close();
        server?.closeAllConnections();
        await servers?.stop();
    });

    beforeEach(async () => {
        lines.length = 0;
        product = await delivered();
    });

    it('reserves, and mirrors the expiry rounded up to a millisecond', async () => {
        const id = await reserve(3);
        assert.deepEqual(await stock(), { total: 10, available: 7, reserved: 3 });
        const mirrored = await waitUntil(() => score(id), 'mirrored');
        const { rows } = await servers.pool.query(
            `SELECT extract(epoch FROM expires_at) * 1000 AS exact
             FROM inventory_reservations WHERE id = $1`,
            [id],
        );
        assert.equal(Number(mirrored), Math.ceil(Number(rows[0].exact)));
    });

    it('reserves all of a cart, or nothing', async () => {
        const other = await delivered();
        const items = [
            { productId: product, quantity: 1 },
            { productId: other, quantity: 11 },
        ];
        const before = await servers.redis.zcard(PENDING);
        assert.equal((await call('POST', '/reservations', { items })).status, 409);
        assert.deepEqual(await stock(), { total: 10, available: 10, reserved: 0 });
        assert.equal(await servers.redis.zcard(PENDING), before);
    });

    it('adds up a product that is twice in a cart', async () => {
        const items = [1, 2].map((quantity) => ({ productId: product, quantity }));
        const { status, body } = await call('POST', '/reservations', { items });
        assert.equal(status, 201);
        assert.equal((await call('GET', `/reservations/${body.id}`)).body[0].quantity, 3);
    });

    it('commits: the goods leave the stock, the entry leaves Redis', async () => {
        const id = await reserve();
        await waitUntil(() => score(id), 'mirrored');
        assert.equal((await call('POST', `/reservations/${id}/commit`)).status, 200);
        assert.deepEqual(await stock(), { total: 8, available: 8, reserved: 0 });
        await waitUntil(async () => (await score(id)) === null, 'removed from Redis');
    });

    it('cancels: the goods are back, the entry leaves Redis', async () => {
        const id = await reserve();
        await waitUntil(() => score(id), 'mirrored');
        assert.equal((await call('POST', `/reservations/${id}/cancel`)).status, 200);
        assert.deepEqual(await stock(), { total: 10, available: 10, reserved: 0 });
        await waitUntil(async () => (await score(id)) === null, 'removed from Redis');
    });

    it('extends, and moves the entry', async () => {
        const id = await reserve();
        const first = await waitUntil(() => score(id), 'mirrored');
        const path = `/reservations/${id}/extend`;
        assert.equal((await call('POST', path, { holdSeconds: 600 })).status, 200);
        await waitUntil(async () => Number(await score(id)) > Number(first) + 500_000, 'moved');
        assert.deepEqual(await stock(), { total: 10, available: 8, reserved: 2 });
    });

    it('refuses to end a reservation twice', async () => {
        const id = await reserve();
        assert.equal((await call('POST', `/reservations/${id}/commit`)).status, 200);
        for (const verb of ['commit', 'cancel', 'extend']) {
            const answer = await call('POST', `/reservations/${id}/${verb}`, { holdSeconds: 60 });
            assert.equal(answer.status, 409, verb);
        }
        assert.deepEqual(await stock(), { total: 8, available: 8, reserved: 0 });
    });

    it('touches no reservation whose time is over, though it is still active', async () => {
        const id = await reserve(2, 1);
        await sleep(1100);
        for (const verb of ['commit', 'cancel', 'extend']) {
            const answer = await call('POST', `/reservations/${id}/${verb}`, { holdSeconds: 60 });
            assert.equal(answer.status, 410, verb);
        }
        assert.deepEqual(await stock(), { total: 10, available: 8, reserved: 2 });
    });

    it('does not commit what ran out while it waited for the lock', async () => {
        const id = await reserve(2, 1);
        const other = await servers.pool.connect();
        let answer;
        try {
            await other.query('BEGIN');
            await other.query('SELECT FROM inventory_reservations WHERE id = $1 FOR UPDATE', [id]);
            answer = call('POST', `/reservations/${id}/commit`);
            await sleep(1100);
            await other.query('ROLLBACK');
        } finally {
            other.release();
        }
        assert.equal((await answer).status, 410);
        assert.deepEqual(await stock(), { total: 10, available: 8, reserved: 2 });
    });

    it('of many that reserve, buy and cancel at once, loses no unit', async () => {
        const other = await delivered();
        const results = await Promise.all(
            Array.from({ length: 40 }, async (_, i) => {
                const ids = i % 2 ? [product, other] : [other, product];
                const items = ids.map((productId) => ({ productId, quantity: 1 }));
                const { status, body } = await call('POST', '/reservations', { items });
                if (status !== 201) {
                    return status;
                }
                const verb = i % 3 ? 'cancel' : 'commit';
                const both = await Promise.all(
                    [verb, 'commit'].map((v) => call('POST', `/reservations/${body.id}/${v}`)),
                );
                return both.map((b) => b.status).sort().join();
            }),
        );
        assert.deepEqual([...new Set(results)].filter((r) => r !== 409), ['200,409']);
        const { rows } = await servers.pool.query(
            `SELECT count(DISTINCT id)::integer AS sold FROM inventory_reservations
             WHERE product_id = $1 AND status = 'committed'`,
            [product],
        );
        for (const id of [product, other]) {
            const left = 10 - rows[0].sold;
            assert.deepEqual(await stock(id), { total: left, available: left, reserved: 0 });
        }
    });

    it('works without Redis, and says what is not mirrored', async () => {
        const nowhere = new Redis({
            path: `${servers.folder}/nobody.sock`,
            enableOfflineQueue: false,
            maxRetriesPerRequest: 0,
        });
        nowhere.on('error', () => {});
        const [own, base] = await listen(new Mirror(nowhere, (line) => lines.push(line)));
        try {
            const items = [{ productId: product, quantity: 1 }];
            const { status, body } = await call('POST', '/reservations', { items }, base);
            assert.equal(status, 201);
            const path = `/reservations/${body.id}/commit`;
            assert.equal((await call('POST', path, undefined, base)).status, 200);
            await waitUntil(() => lines.length === 2, 'both are logged');
            assert.match(lines[0], new RegExp(`^reservation ${body.id} is not mirrored: `));
        } finally {
            nowhere.disconnect();
            own.close();
            own.closeAllConnections();
        }
    });

    it('answers what it does not understand with 4xx', async () => {
        const line = (productId, quantity) => ({ items: [{ productId, quantity }] });
        const refused = [
            [404, 'POST', `/reservations/${randomUUID()}/commit`],
            [404, 'GET', `/reservations/${randomUUID()}`],
            [404, 'GET', '/nothing'],
            [400, 'POST', '/reservations/x/commit'],
            [400, 'POST', `/reservations/${randomUUID()}/extend`],
            [400, 'POST', '/reservations'],
            [400, 'POST', '/reservations', '{'],
            [400, 'POST', '/reservations', { items: [] }],
            [400, 'POST', '/reservations', { items: [null] }],
            [400, 'POST', '/reservations', line('x', 1)],
            [400, 'POST', '/reservations', line(product, 0)],
            [400, 'POST', '/reservations', line(product, 1.5)],
            [400, 'POST', '/reservations', line(product, '1')],
            [400, 'POST', '/reservations', { ...line(product, 1), holdSeconds: -1 }],
            [409, 'POST', '/reservations', line(randomUUID(), 1)],
        ];
        for (const [status, method, path, body] of refused) {
            const answer = await call(method, path, body);
            assert.equal(answer.status, status, `${method} ${path} ${JSON.stringify(body)}`);
            assert.equal(typeof answer.body.error, 'string');
        }
        assert.deepEqual(lines, []);
    });
});

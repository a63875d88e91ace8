// What the API hears of releases: hints, and the outbox. One statement here stands for the sweeper.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, beforeEach, describe, it } from 'node:test';

import pg from 'pg';

import { Listener } from '../src/listener.js';
import { consume } from '../src/outbox.js';
import { Pages } from '../src/pages.js';
import { Servers, waitUntil } from './servers.js';

describe('pages', () => {
    it('are kept until they are dropped', async () => {
        const pages = new Pages();
        let made = 0;
        const load = async () => ++made;
        assert.equal(await pages.get('a', load), 1);
        assert.equal(await pages.get('a', load), 1);
        assert.equal(await pages.get('b', load), 2);
        pages.drop();
        assert.equal(await pages.get('a', load), 3);
    });

    it('that could not be made are made again', async () => {
        const pages = new Pages();
        await assert.rejects(pages.get('a', () => Promise.reject(new Error('away'))));
        assert.equal(await pages.get('a', async () => 'here'), 'here');
    });
});

describe('events', () => {
    let servers;

    before(async () => {
        servers = await new Servers().start();
        await servers.pool.query(await readFile(new URL('../outbox.sql', import.meta.url), 'utf8'));
    });
    after(() => servers?.stop());
    beforeEach(() => servers.pool.query('TRUNCATE outbox'));

    const fill = (n) =>
        servers.pool.query(
            `INSERT INTO outbox (event, payload)
             SELECT 'reservation.released', jsonb_build_object('id', i) FROM generate_series(1, $1::integer) AS i`,
            [n],
        );
    const left = async () => (await servers.pool.query('SELECT n FROM outbox')).rowCount;

    it('hints drop pages, after a lost connection too', async () => {
        const heard = [];
        const listener = new Listener({
            connect: () => new pg.Client({ ...servers.options, application_name: 'listener' }),
            channel: "It's Gone",
            heard: (payload) => heard.push(payload),
            log: () => {},
        });
        await listener.start();
        assert.deepEqual(heard, [null]);
        await servers.pool.query('SELECT pg_notify($1, $2)', ["It's Gone", '{"released":1}']);
        await waitUntil(() => heard.length === 2, 'a hint');
        assert.equal(heard[1], '{"released":1}');

        await servers.pool.query(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'listener'",
        );
        await waitUntil(() => heard.length === 3, 'it listens again');
        assert.equal(heard[2], null);
        await listener.stop();
    });

    it('each event is handled once, by however many consumers', async () => {
        await fill(300);
        const handled = [];
        const one = async () => {
            while ((await consume(servers.pool, async (_, { id }) => handled.push(id), 7)) > 0);
        };
        await Promise.all([one(), one(), one()]);
        assert.equal(await left(), 0);
        assert.deepEqual(
            handled.sort((a, b) => a - b),
            Array.from({ length: 300 }, (_, i) => i + 1),
        );
    });

    it('a consumer passes by what another has in hand', async () => {
        await fill(4);
        let second;
        await consume(
            servers.pool,
            async () => {
                second ??= await consume(servers.pool, async () => {}, 10);
            },
            2,
        );
        assert.equal(second, 2);
        assert.equal(await left(), 0);
    });

    it('what could not be handled stays', async () => {
        await fill(3);
        const fails = async (_, { id }) => {
            if (id === 2) {
                throw new Error('no');
            }
        };
        await assert.rejects(consume(servers.pool, fails), /^Error: no$/);
        assert.equal(await left(), 3);
        assert.equal(await consume(servers.pool, async () => {}), 3);
    });
});

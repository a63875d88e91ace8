// A process that handles the outbox's events: here it says them. The hint only makes it look sooner.

import pg from 'pg';

import { database } from './database.js';
import { Listener } from './listener.js';
import { consume } from './outbox.js';

const POLL_MS = 5000;

const log = (line) => console.log(`${new Date().toISOString()} ${line}`);
const pool = new pg.Pool({ ...database, max: 1 });
pool.on('error', (error) => log(`Postgres: ${error.message}`));

let looking = false;
let again = false;

async function look() {
    again = looking;
    if (looking) {
        return;
    }
    looking = true;
    try {
        while ((await consume(pool, (event, payload) => log(`${event} ${JSON.stringify(payload)}`))) > 0);
    } catch (error) {
        log(`the outbox cannot be read: ${error.message}`);
    }
    looking = false;
    if (again) {
        await look();
    }
}

const timer = setInterval(look, POLL_MS);
const listener = new Listener({
    connect: () => new pg.Client(database),
    channel: 'stock_changed',
    heard: look,
    log,
});
listener.start();

async function stop() {
    clearInterval(timer);
    await listener.stop();
    await pool.end();
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);

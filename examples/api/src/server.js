// The API: reads the environment (DB_*, REDIS_*, PORT), listens, and stops in order on SIGTERM.

import { Redis } from 'ioredis';
import pg from 'pg';

import { createApp } from './app.js';
import { database } from './database.js';
import { Listener } from './listener.js';
import { Mirror } from './mirror.js';
import { Pages } from './pages.js';

const log = (line) => console.log(`${new Date().toISOString()} ${line}`);

const pool = new pg.Pool({
    ...database,
    max: 10,
    connectionTimeoutMillis: 5000,
    // A lock that is waited for longer than that is a fault, not a queue.
    lock_timeout: 2000,
    statement_timeout: 5000,
    idle_in_transaction_session_timeout: 5000,
});
// Of connections that nobody is using: the pool has dropped it already.
pool.on('error', (error) => log(`Postgres: ${error.message}`));

// Redis out of reach must cost the customer nothing: no queue of commands that waits for it.
const redis = new Redis({
    host: process.env.REDIS_HOST ?? '127.0.0.1',
    port: Number(process.env.REDIS_PORT ?? 6379),
    password: process.env.REDIS_PASSWORD || undefined,
    db: Number(process.env.REDIS_DB ?? 0),
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    commandTimeout: 1000,
});
redis.on('error', (error) => log(`Redis: ${error.message}`));

// The sweeper says when units came back: the pages are made anew.
const pages = new Pages();
const listener = new Listener({
    connect: () => new pg.Client(database),
    channel: 'stock_changed',
    heard: () => pages.drop(),
    log,
});
listener.start();

const port = Number(process.env.PORT ?? 3000);
const app = createApp({ pool, mirror: new Mirror(redis, log), pages, log });
const server = app.listen(port, (error) => {
    if (error) {
        throw error;
    }
    log(`listening on port ${server.address().port}`);
});

function stop(signal) {
    log(`${signal}: finishing what is under way`);
    server.close(async () => {
        await listener.stop();
        await pool.end();
        redis.disconnect();
        log('stopped');
    });
    server.closeIdleConnections();
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);

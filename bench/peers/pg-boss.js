// pg-boss: a delayed job for each reservation in Postgres itself, sent when the API reserves.
// It polls twice a second, which is the most that it allows, and again at once after a full batch.
import { PgBoss } from 'pg-boss';
import pg from 'pg';
import { releaseFrom } from './release.js';

const CONCURRENCY = 50; // the pool's connections, whatever the batch
const BATCH = 500;
const POLL_S = 0.5;
const CHUNK = 1000;
const connectionString = process.env.DATABASE_URL;
const boss = new PgBoss({ connectionString });
const pool = new pg.Pool({ connectionString, max: CONCURRENCY });
boss.on('error', (error) => console.error(error));
await boss.start();

async function enqueue() {
    await boss.createQueue('release');
    const { rows } = await pool.query(
        `SELECT id, ceil(extract(epoch FROM expires_at) * 1000)::float8 AS due
           FROM inventory_reservations WHERE status = 'active' ORDER BY expires_at`);
    for (let at = 0; at < rows.length; at += CHUNK) {
        await boss.insert('release', rows.slice(at, at + CHUNK).map(({ id, due }) => ({
            data: { id },
            startAfter: new Date(due),
        })));
    }
    await pool.query('VACUUM ANALYZE');
    await pool.end();
    await boss.stop();
}

async function work(jobs) {
    await Promise.all(jobs.map(({ data }) => releaseFrom(pool, data.id)));
}

if (process.argv[2] === 'work') {
    await boss.work('release', {
        batchSize: BATCH,
        burstWhenBatchFull: true,
        pollingIntervalSeconds: POLL_S,
    }, work);
} else {
    await enqueue();
}

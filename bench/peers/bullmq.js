// BullMQ: a delayed job for each reservation, as an API would add it when it reserves.
import { Queue, Worker } from 'bullmq';
import Redis from 'ioredis';
import pg from 'pg';
import { releaseFrom } from './release.js';

const CONCURRENCY = 50;
const CHUNK = 1000;
const connection = new Redis(process.env.REDIS_URL, { maxRetriesPerRequest: null });
const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: CONCURRENCY });

async function enqueue() {
    const queue = new Queue('release', { connection });
    const { rows } = await pool.query(
        `SELECT id, ceil(extract(epoch FROM expires_at) * 1000)::float8 AS due
           FROM inventory_reservations WHERE status = 'active' ORDER BY expires_at`);
    for (let at = 0; at < rows.length; at += CHUNK) {
        await queue.addBulk(rows.slice(at, at + CHUNK).map(({ id, due }) => ({
            name: 'release',
            data: { id },
            opts: { delay: Math.max(due - Date.now(), 0), removeOnComplete: true },
        })));
    }
    await queue.close();
    await pool.end();
    await connection.quit();
}

if (process.argv[2] === 'work') {
    const worker = new Worker(
        'release', (job) => releaseFrom(pool, job.data.id), { connection, concurrency: CONCURRENCY });
    worker.on('failed', (job, error) => console.error(error));
    worker.on('error', (error) => console.error(error));
} else {
    await enqueue();
}

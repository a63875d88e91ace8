// graphile-worker: a job for each reservation in Postgres itself, to be run at its expiry.
import { Logger, run, runMigrations } from 'graphile-worker';
import pg from 'pg';
import { release } from './release.js';

const CONCURRENCY = 10;
const connectionString = process.env.DATABASE_URL;
const logger = new Logger(() => (level, message) => {
    if (level === 'error' || level === 'warning') console.error(message);
});

async function enqueue() {
    await runMigrations({ connectionString, logger });
    const client = new pg.Client({ connectionString });
    await client.connect();
    await client.query(
        `SELECT count(*) FROM graphile_worker.add_jobs(array(
             SELECT ('release', json_build_object('id', id), NULL, expires_at,
                     NULL, NULL, NULL, NULL)::graphile_worker.job_spec
               FROM inventory_reservations WHERE status = 'active'))`);
    await client.query('VACUUM ANALYZE');
    await client.end();
}

if (process.argv[2] === 'work') {
    await run({
        connectionString,
        logger,
        concurrency: CONCURRENCY,
        maxPoolSize: CONCURRENCY + 2,
        taskList: {
            release: (payload, helpers) =>
                helpers.withPgClient((client) => release(client, payload.id)),
        },
    });
} else {
    await enqueue();
}

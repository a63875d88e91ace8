// A private Postgres and Redis, on unix sockets in a folder of their own, for as long as the tests
// live: their parent's death ends them too.

import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Redis } from 'ioredis';
import pg from 'pg';

const SCHEMA = new URL('../../../sql/schema.sql', import.meta.url);
const START_MS = 60_000;

// Debian's place, the newest version; elsewhere the one on the PATH.
async function postgresProgram(name) {
    const versions = await readdir('/usr/lib/postgresql').catch(() => []);
    const newest = versions.map(Number).sort((a, b) => b - a)[0];
    return newest ? `/usr/lib/postgresql/${newest}/bin/${name}` : name;
}

export async function waitUntil(condition, what, timeoutMs = START_MS) {
    const deadline = Date.now() + timeoutMs;
    for (;;) {
        const value = await condition();
        if (value) {
            return value;
        }
        if (Date.now() > deadline) {
            throw new Error(`not within ${timeoutMs} ms: ${what}`);
        }
        await sleep(20);
    }
}

export class Servers {
    #children = [];

    async start() {
        this.folder = await mkdtemp(join(tmpdir(), 'rs-api-'));
        this.password = randomBytes(12).toString('hex');
        try {
            await Promise.all([this.#startPostgres(), this.#startRedis()]);
        } catch (error) {
            await this.stop();
            throw error;
        }
        return this;
    }

    // deathSignal: what the child gets when this process dies.
    #spawn(deathSignal, command, options) {
        const log = [];
        const child = spawn('setpriv', ['--pdeathsig', deathSignal, ...options, ...command]);
        child.stdout.on('data', (data) => log.push(data));
        child.stderr.on('data', (data) => log.push(data));
        child.said = () => Buffer.concat(log).toString();
        this.#children.push({ child, signal: deathSignal === 'QUIT' ? 'SIGINT' : 'SIGTERM' });
        return child;
    }

    async #ready(child, name, answers) {
        await waitUntil(async () => {
            if (child.exitCode !== null) {
                throw new Error(`${name} ended at its start:\n${child.said()}`);
            }
            return answers().then(
                () => true,
                () => false,
            );
        }, `${name} answers`);
    }

    async #startPostgres() {
        const data = join(this.folder, 'postgres');
        const passwordFile = join(this.folder, 'password');
        await mkdir(data);
        await writeFile(passwordFile, this.password);
        // Postgres refuses to run as root.
        let account = [];
        if (process.getuid() === 0) {
            account = ['--reuid=postgres', '--regid=postgres', '--clear-groups'];
            await chmod(this.folder, 0o755);
            execFileSync('chown', ['postgres:', data, passwordFile]);
        }
        const initdb = ['-D', data, '-U', 'shop', `--pwfile=${passwordFile}`, '--no-sync'];
        execFileSync('setpriv', [
            ...account,
            await postgresProgram('initdb'),
            ...initdb,
            '--auth=scram-sha-256',
        ]);
        const settings = ['-c', 'listen_addresses=', '-c', 'fsync=off', '-k', data];
        const command = [await postgresProgram('postgres'), '-D', data, ...settings];
        const child = this.#spawn('QUIT', command, account);

        this.options = {
            host: data,
            user: 'shop',
            password: this.password,
            database: 'postgres',
        };
        this.pool = new pg.Pool(this.options);
        await this.#ready(child, 'postgres', () => this.pool.query('SELECT'));
        await this.pool.query(await readFile(SCHEMA, 'utf8'));
    }

    async #startRedis() {
        const socket = join(this.folder, 'redis.sock');
        const settings = ['--port', '0', '--unixsocket', socket, '--save', ''];
        const child = this.#spawn('KILL', ['redis-server', '--dir', this.folder, ...settings], []);
        await this.#ready(child, 'redis', async () => {
            const client = new Redis({ path: socket, lazyConnect: true, retryStrategy: null });
            client.on('error', () => {});
            try {
                await client.ping();
            } finally {
                client.disconnect();
            }
        });
        this.redis = new Redis({ path: socket, enableOfflineQueue: true });
    }

    async stop() {
        this.redis?.disconnect();
        await this.pool?.end();
        for (const { child, signal } of this.#children) {
            if (child.exitCode === null && child.signalCode === null) {
                const ended = once(child, 'exit');
                child.kill(signal);
                await ended;
            }
        }
        await rm(this.folder, { recursive: true, force: true });
    }
}

// Hears the hints of a channel, over a connection of its own, and makes that anew when it is lost. What
// was said meanwhile nobody knows: so each time that it listens again counts as a hint too.

import { setTimeout as sleep } from 'node:timers/promises';

const AGAIN_MS = 1000;

export class Listener {
    #client;
    #stopped = false;

    // connect(): a new client of pg, not connected; heard(payload): NULL after a new connection.
    constructor({ connect, channel, heard, log }) {
        Object.assign(this, { connect, channel, heard, log });
    }

    async start() {
        while (!this.#stopped) {
            try {
                await this.#listen();
                return;
            } catch (error) {
                this.log(`cannot listen on ${this.channel}: ${error.message}`);
                await sleep(AGAIN_MS, undefined, { ref: false });
            }
        }
    }

    async #listen() {
        const client = (this.#client = this.connect());
        client.on('notification', ({ payload }) => this.heard(payload));
        client.on('error', () => {}); // 'end' follows
        await client.connect();
        await client.query(`LISTEN ${client.escapeIdentifier(this.channel)}`);
        client.once('end', () => this.start());
        this.heard(null);
    }

    async stop() {
        this.#stopped = true;
        await this.#client?.end().catch(() => {});
    }
}

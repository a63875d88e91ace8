// A shop's customers, in memory: they fill carts, and leave half of them. Each line tells what has
// become of a cart, and what the sweeper did about those that were left.

import { setTimeout as sleep } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';

export const GOODS = [
    { name: 'mug', productId: '00000000-0000-4000-8000-000000000001' },
    { name: 'lamp', productId: '00000000-0000-4000-8000-000000000002' },
    { name: 'teapot', productId: '00000000-0000-4000-8000-000000000003' },
];
const DELIVERY = 50;
const RELEASE_WAIT_MS = 60_000;
const SUMMARY_EVERY = 10;

export class Shopper {
    // url: of the API; say: takes a line; holdS: how long a cart is held.
    constructor({ url, say, holdS = 10, random = Math.random }) {
        this.url = url;
        this.say = say;
        this.holdS = holdS;
        this.random = random;
        this.tally = { carts: 0, bought: 0, cancelled: 0, left: 0, released: 0, latestMs: 0 };
    }

    async call(method, path, body) {
        const response = await fetch(this.url + path, {
            method,
            headers: body && { 'content-type': 'application/json' },
            body: body && JSON.stringify(body),
            signal: AbortSignal.timeout(10_000),
        });
        const answer = await response.json();
        if (!response.ok) {
            throw new Error(`${method} ${path}: ${response.status} ${answer.error}`);
        }
        return answer;
    }

    // Sold goods leave the shelf: so that there are always some.
    async restock() {
        const shelf = new Map((await this.call('GET', '/products')).map((p) => [p.productId, p]));
        for (const { name, productId } of GOODS) {
            if ((shelf.get(productId)?.available ?? 0) < DELIVERY / 2) {
                const path = `/products/${productId}/deliveries`;
                await this.call('POST', path, { quantity: DELIVERY });
                this.say(`delivery      ${DELIVERY} x ${name}`);
            }
        }
    }

    // From the first item to the end, whichever it is. Every second cart is left.
    async cart() {
        const leaves = this.tally.carts++ % 2 === 0;
        const first = Math.floor(this.random() * GOODS.length);
        const chosen = GOODS.slice(first, first + 1 + Math.floor(this.random() * 2));
        const items = chosen.map(({ productId }) => ({
            productId,
            quantity: 1 + Math.floor(this.random() * 3),
        }));
        const held = await this.call('POST', '/reservations', { items, holdSeconds: this.holdS });
        const name = `cart ${held.id.slice(0, 8)}`;
        const what = items.map(({ quantity }, i) => `${quantity} x ${chosen[i].name}`).join(', ');
        this.say(`${name} holds ${what} for ${this.holdS} s`);

        if (leaves) {
            this.tally.left++;
            this.say(`${name} is left by its customer`);
            await this.watch(held.id, name, held.expiresAt);
        } else {
            await this.decide(held.id, name);
        }
    }

    async decide(id, name) {
        await sleep(this.holdS * 500 * this.random());
        const path = `/reservations/${id}`;
        if (this.random() < 0.3) {
            await this.call('POST', `${path}/extend`, { holdSeconds: this.holdS });
            this.say(`${name} gets ${this.holdS} s more`);
            await sleep(this.holdS * 500 * this.random());
        }
        if (this.random() < 0.25) {
            await this.call('POST', `${path}/cancel`);
            this.tally.cancelled++;
            this.say(`${name} is emptied by its customer`);
        } else {
            await this.call('POST', `${path}/commit`);
            this.tally.bought++;
            this.say(`${name} is bought`);
        }
    }

    // Nobody calls the API for a cart that was left: its rows change by themselves.
    async watch(id, name, expiresAt) {
        const deadline = Date.now() + this.holdS * 1000 + RELEASE_WAIT_MS;
        await sleep(this.holdS * 1000);
        while (Date.now() < deadline) {
            const rows = await this.call('GET', `/reservations/${id}`);
            if (rows.every(({ status }) => status === 'released')) {
                // Both are Postgres's times.
                const lateMs = Date.parse(rows[0].updatedAt) - Date.parse(expiresAt);
                const units = rows.reduce((sum, { quantity }) => sum + quantity, 0);
                this.tally.released++;
                this.tally.latestMs = Math.max(this.tally.latestMs, lateMs);
                this.say(
                    `${name} RELEASED by the sweeper, ${lateMs} ms after its time:` +
                        ` ${units} back on the shelf`,
                );
                return;
            }
            await sleep(100);
        }
        this.say(`${name} is STILL HELD, ${RELEASE_WAIT_MS / 1000} s after its time`);
    }

    summary() {
        const { carts, bought, cancelled, left, released, latestMs } = this.tally;
        this.say(
            `so far        ${carts} carts: ${bought} bought, ${cancelled} emptied, ${left} left;` +
                ` of those ${released} released, at most ${latestMs} ms late`,
        );
    }
}

async function main() {
    const say = (line) => console.log(`${new Date().toISOString().slice(11, 23)}  ${line}`);
    const shopper = new Shopper({
        url: process.env.API_URL ?? 'http://127.0.0.1:3000',
        holdS: Number(process.env.HOLD_SECONDS ?? 10),
        say,
    });
    const pauseMs = Number(process.env.PAUSE_MS ?? 2000);
    process.once('SIGTERM', () => process.exit(0));
    process.once('SIGINT', () => process.exit(0));

    for (;;) {
        try {
            await shopper.restock();
            // Not awaited: the next customer does not wait for this one's decision.
            shopper.cart().catch((error) => say(`a cart failed: ${error.message}`));
            if (shopper.tally.carts % SUMMARY_EVERY === 0) {
                shopper.summary();
            }
        } catch (error) {
            say(`the API does not answer: ${error.message}`);
        }
        await sleep(pauseMs * (0.5 + Math.random()));
    }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
    await main();
}

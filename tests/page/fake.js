// A daemon's HTTP side with states of our choice: the page's own files, with the headers that the
// program sends, and what its routes would say.

import { createServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const FILES = {
    '/': ['web/index.html', 'text/html; charset=utf-8'],
    '/page.css': ['web/page.css', 'text/css; charset=utf-8'],
    '/page.js': ['web/page.js', 'text/javascript; charset=utf-8'],
};
export const TOKEN = 'an admin token, long enough';

// As the program's source has it: the page must do with that.
function policy() {
    const source = readFileSync(new URL('src/link/http.c', root), 'utf8');
    const literals = source.match(/"Content-Security-Policy",\s*((?:"[^"]*"\s*)+)/)[1];
    return [...literals.matchAll(/"([^"]*)"/g)].map(([, text]) => text).join('');
}

export class Fake {
    asked = []; // the requests that change something, in order
    answers = {}; // path: [status, body] of those
    readToken = false;
    looks = 0; // how often /status has answered

    async start() {
        this.server = createServer((request, response) => this.#handle(request, response));
        this.server.listen(this.port ?? 0, '127.0.0.1');
        await once(this.server, 'listening');
        this.port = this.server.address().port;
        this.url = `http://127.0.0.1:${this.port}/`;
        return this;
    }

    say({ status, failures = [] }) {
        Object.assign(this, { status, failures });
    }

    #handle(request, response) {
        const url = new URL(request.url, this.url);
        const [code, body, type = 'application/json'] = this.#answer(request, url);
        response.writeHead(code, {
            'Content-Type': type, 'Cache-Control': 'no-store', 'Content-Security-Policy': policy(),
            'X-Content-Type-Options': 'nosniff', Connection: 'close',
        });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
    }

    #answer(request, url) {
        const authorized = request.headers.authorization === `Bearer ${TOKEN}`;
        const wrong = [401, { error: 'the bearer token is missing or wrong' }];
        const { pathname: path, searchParams: given } = url;
        if (request.method === 'POST') {
            this.asked.push(url.pathname + url.search);
            return authorized ? this.answers[path] ?? [200, {}] : wrong;
        }
        if (path in FILES) return [200, readFileSync(new URL(FILES[path][0], root), 'utf8'), FILES[path][1]];
        if (path === '/readyz') {
            const { ready, reason, degraded, overdueSeconds, failed, locked } = this.status;
            return [ready ? 200 : 503, { ready, reason, degraded, overdueSeconds, failed, locked }];
        }
        if (this.readToken && !authorized) return wrong;
        if (path === '/status') {
            this.looks++;
            return [200, this.status];
        }
        if (path === '/failures') return [200, this.#failures(given)];
        if (path === '/explain') return this.answers[path] ?? [404, { error: 'there is nothing at this path' }];
        return [404, { error: 'there is nothing at this path' }];
    }

    #failures(given) {
        const has = (name, value) => !given.get(name) || given.get(name) === value;
        const rows = this.failures.filter((f) => has('product', f.productId) && has('sqlstate', f.sqlstate) && has('queue', f.queue));
        const limit = Number(given.get('limit') ?? 100);
        return { failures: rows.slice(0, limit), next: rows.length > limit ? rows[limit - 1].reservationId : null };
    }

    async stop() {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

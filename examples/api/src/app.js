// The routes. Numbers and ids are checked here; what may be done is decided in reservations.js.

import express from 'express';

import { Pages } from './pages.js';
import { Refused, cancel, commit, extend, reserve } from './reservations.js';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const HOLD_MAX_S = 3600;
const UNITS_MAX = 1000;
const PRODUCTS_MAX = 50;

function uuid(value) {
    const text = typeof value === 'string' ? value.toLowerCase() : '';
    if (!UUID.test(text)) {
        throw new Refused(400, 'an id must be a UUID');
    }
    return text;
}

function whole(value, what, max) {
    if (!Number.isInteger(value) || value < 1 || value > max) {
        throw new Refused(400, `${what} must be a whole number from 1 to ${max}`);
    }
    return value;
}

// The same product twice is one line with the sum: a reservation has one row for each product.
function cartOf(items) {
    if (!Array.isArray(items) || items.length < 1 || items.length > PRODUCTS_MAX) {
        throw new Refused(400, `items must be a list of 1 to ${PRODUCTS_MAX} products`);
    }
    const units = new Map();
    for (const item of items) {
        const productId = uuid(item?.productId);
        const quantity = whole(item.quantity, 'quantity', UNITS_MAX);
        units.set(productId, (units.get(productId) ?? 0) + quantity);
    }
    return [...units].map(([productId, quantity]) => ({ productId, quantity }));
}

// pool: of pg; mirror: see mirror.js; pages: see pages.js; log: takes a line.
export function createApp({ pool, mirror, pages = new Pages(), log }) {
    const app = express();
    app.disable('x-powered-by');
    app.use(express.json({ limit: '16kb' }));

    app.post('/reservations', async (request, response) => {
        const cart = cartOf(request.body?.items);
        const holdS = whole(request.body.holdSeconds ?? 900, 'holdSeconds', HOLD_MAX_S);
        const { id, expiresAt, dueMs } = await reserve(pool, cart, holdS);
        mirror.holds(id, dueMs);
        pages.drop();
        response.status(201).json({ id, expiresAt });
    });

    app.post('/reservations/:id/extend', async (request, response) => {
        const holdS = whole(request.body?.holdSeconds, 'holdSeconds', HOLD_MAX_S);
        const { id, expiresAt, dueMs } = await extend(pool, uuid(request.params.id), holdS);
        mirror.holds(id, dueMs);
        response.json({ id, expiresAt });
    });

    app.post('/reservations/:id/commit', async (request, response) => {
        const id = uuid(request.params.id);
        await commit(pool, id);
        mirror.ended(id);
        pages.drop();
        response.json({ id, status: 'committed' });
    });

    app.post('/reservations/:id/cancel', async (request, response) => {
        const id = uuid(request.params.id);
        await cancel(pool, id);
        mirror.ended(id);
        pages.drop();
        response.json({ id, status: 'released' });
    });

    app.get('/reservations/:id', async (request, response) => {
        const { rows } = await pool.query(
            `SELECT product_id AS "productId", quantity, status, expires_at AS "expiresAt",
                    updated_at AS "updatedAt"
             FROM inventory_reservations WHERE id = $1 ORDER BY product_id`,
            [uuid(request.params.id)],
        );
        if (rows.length === 0) {
            throw new Refused(404, `no reservation ${request.params.id}`);
        }
        response.json(rows);
    });

    // Goods that arrive: a new product, or more of a known one.
    app.post('/products/:id/deliveries', async (request, response) => {
        const { rows } = await pool.query(
            `INSERT INTO inventory AS i (product_id, total_stock, available_stock)
             VALUES ($1, $2, $2)
             ON CONFLICT (product_id) DO UPDATE
             SET total_stock = i.total_stock + $2, available_stock = i.available_stock + $2,
                 updated_at = now()
             RETURNING product_id AS "productId", available_stock AS available,
                       reserved_stock AS reserved`,
            [uuid(request.params.id), whole(request.body?.quantity, 'quantity', UNITS_MAX)],
        );
        pages.drop();
        response.status(201).json(rows[0]);
    });

    app.get('/products', async (request, response) => {
        const { rows } = await pages.get('products', () =>
            pool.query(
                `SELECT product_id AS "productId", available_stock AS available,
                        reserved_stock AS reserved
                 FROM inventory ORDER BY product_id LIMIT 100`,
            ),
        );
        response.json(rows);
    });

    // Alive means: a reservation could be made. Redis is not asked, since none depends on it.
    app.get('/healthz', async (request, response) => {
        await pool.query('SELECT FROM inventory LIMIT 1');
        response.json({ status: 'ok' });
    });

    app.use((request, response) => {
        response.status(404).json({ error: 'no such page' });
    });

    // Express knows an error handler by its four parameters. `status`: ours, or the JSON parser's.
    app.use((error, request, response, next) => {
        const known = error.status >= 400 && error.status < 500;
        if (!known) {
            log(`${request.method} ${request.path} failed: ${error.message}`);
        }
        if (response.headersSent) {
            next(error);
            return;
        }
        response
            .status(known ? error.status : 500)
            .json({ error: known ? error.message : 'something went wrong' });
    });

    return app;
}

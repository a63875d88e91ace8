// What a shop does to a reservation: one transaction for each verb.
//
// The sweeper releases a reservation under the locks of its rows, if it is active and over by
// Postgres's clock. So every verb here locks the rows, then finds them active and not over, and
// moves the counters in the same transaction: of a customer who pays and a sweeper that releases
// at the same moment, exactly one succeeds. All transactions lock in the order of product ids, so
// that no two wait for each other.

import { randomUUID } from 'node:crypto';

// An answer that the customer can understand, with its HTTP status.
export class Refused extends Error {
    constructor(status, message) {
        super(message);
        this.status = status;
    }
}

// The millisecond from which Postgres calls it over: rounded up, a look before that is in vain.
const DUE_MS = 'ceil(extract(epoch FROM expires_at) * 1000)::bigint AS due_ms';

async function inTransaction(pool, work) {
    const client = await pool.connect();
    let broken;
    try {
        await client.query('BEGIN');
        const result = await work(client);
        await client.query('COMMIT');
        return result;
    } catch (error) {
        await client.query('ROLLBACK').catch((reason) => (broken = reason));
        throw error;
    } finally {
        client.release(broken);
    }
}

// Holds all items ([{ productId, quantity }], each product once) for holdS seconds, or none.
export function reserve(pool, items, holdS) {
    const cart = [...items].sort(byProduct);
    return inTransaction(pool, async (client) => {
        for (const { productId, quantity } of cart) {
            const { rowCount } = await client.query(
                `UPDATE inventory
                 SET available_stock = available_stock - $2, reserved_stock = reserved_stock + $2,
                     updated_at = now()
                 WHERE product_id = $1 AND available_stock >= $2`,
                [productId, quantity],
            );
            if (rowCount === 0) {
                throw new Refused(409, `not enough of product ${productId}`);
            }
        }
        // statement_timestamp(), not now(): the locks above may have been waited for.
        const id = randomUUID();
        const { rows } = await client.query(
            `INSERT INTO inventory_reservations (id, product_id, quantity, expires_at)
             SELECT $1, product_id, quantity, statement_timestamp() + make_interval(secs => $4)
             FROM unnest($2::uuid[], $3::integer[]) AS cart (product_id, quantity)
             RETURNING expires_at, ${DUE_MS}`,
            [id, cart.map((i) => i.productId), cart.map((i) => i.quantity), holdS],
        );
        return { id, expiresAt: rows[0].expires_at, dueMs: Number(rows[0].due_ms) };
    });
}

// Sold: the goods leave the stock.
export function commit(pool, id) {
    return inTransaction(pool, async (client) => {
        const items = await change(client, id, `status = 'committed'`);
        await moveCounters(client, items, 'total_stock = total_stock - $2');
    });
}

// Given back by the customer, before its time was over.
export function cancel(pool, id) {
    return inTransaction(pool, async (client) => {
        const items = await change(client, id, `status = 'released'`);
        await moveCounters(client, items, 'available_stock = available_stock + $2');
    });
}

// Held for holdS seconds from now.
export function extend(pool, id, holdS) {
    return inTransaction(pool, async (client) => {
        const until = 'expires_at = statement_timestamp() + make_interval(secs => $2)';
        const rows = await change(client, id, until, [holdS]);
        return { id, expiresAt: rows[0].expires_at, dueMs: Number(rows[0].due_ms) };
    });
}

// Locks the rows of a reservation, and changes all of them if all are live. The two are statements
// of their own: a time that is read in the statement that waits for the lock was read too early.
async function change(client, id, assignment, values = []) {
    const { rows: held } = await client.query(
        `SELECT status FROM inventory_reservations WHERE id = $1 ORDER BY product_id FOR UPDATE`,
        [id],
    );
    if (held.length === 0) {
        throw new Refused(404, `no reservation ${id}`);
    }
    const { rows: changed } = await client.query(
        `UPDATE inventory_reservations SET ${assignment}, updated_at = now()
         WHERE id = $1 AND status = 'active' AND expires_at > statement_timestamp()
         RETURNING product_id AS "productId", quantity, expires_at, ${DUE_MS}`,
        [id, ...values],
    );
    if (changed.length !== held.length) {
        const settled = held.find(({ status }) => status !== 'active');
        throw settled
            ? new Refused(409, `reservation ${id} is ${settled.status} already`)
            : new Refused(410, `the time of reservation ${id} is over`);
    }
    return changed;
}

// One statement for each product: a single UPDATE would lock them in an order of its own.
async function moveCounters(client, items, where) {
    for (const { productId, quantity } of items.sort(byProduct)) {
        await client.query(
            `UPDATE inventory
             SET reserved_stock = reserved_stock - $2, ${where}, updated_at = now()
             WHERE product_id = $1`,
            [productId, quantity],
        );
    }
}

// The text of a uuid, in lower case, sorts as Postgres sorts the uuid.
function byProduct(a, b) {
    return a.productId < b.productId ? -1 : 1;
}

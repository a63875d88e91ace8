// The job that the sweeper replaces, with knex: select the expired ids, then one transaction each.
// It looks every second, where a shop would have it look every minute.
import { setTimeout as sleep } from 'node:timers/promises';
import knex from 'knex';

const LOOK_MS = 1000;
const db = knex({ client: 'pg', connection: process.env.DATABASE_URL });

async function release(id) {
    await db.transaction(async (trx) => {
        const rows = await trx('inventory_reservations')
            .where({ id, status: 'active' }).orderBy('product_id').forUpdate();
        for (const { product_id, quantity } of rows) {
            await trx('inventory').where({ product_id }).forUpdate().first();
            await trx('inventory').where({ product_id })
                .increment('available_stock', quantity).decrement('reserved_stock', quantity)
                .update({ updated_at: trx.fn.now() });
        }
        await trx('inventory_reservations').where({ id, status: 'active' })
            .update({ status: 'released', updated_at: trx.fn.now() });
    });
}

if (process.argv[2] === 'work') {
    for (;;) {
        const expired = await db('inventory_reservations').distinct('id')
            .where('status', 'active').where('expires_at', '<=', db.fn.now());
        for (const { id } of expired) await release(id);
        if (expired.length === 0) await sleep(LOOK_MS);
    }
}
await db.destroy(); // there is nothing to prepare

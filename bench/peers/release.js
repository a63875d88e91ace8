// One reservation, one transaction: lock its rows, lock the product, update both, commit.

export async function release(client, id) {
    await client.query('BEGIN');
    try {
        const { rows } = await client.query(
            `SELECT product_id, quantity FROM inventory_reservations
              WHERE id = $1 AND status = 'active' AND expires_at <= now()
              ORDER BY product_id FOR UPDATE`,
            [id]);
        for (const { product_id, quantity } of rows) {
            await client.query(
                'SELECT FROM inventory WHERE product_id = $1 FOR UPDATE', [product_id]);
            await client.query(
                `UPDATE inventory SET available_stock = available_stock + $2,
                        reserved_stock = reserved_stock - $2, updated_at = now()
                  WHERE product_id = $1`,
                [product_id, quantity]);
        }
        await client.query(
            `UPDATE inventory_reservations SET status = 'released', updated_at = now()
              WHERE id = $1 AND status = 'active'`,
            [id]);
        await client.query('COMMIT');
    } catch (error) {
        await client.query('ROLLBACK');
        throw error;
    }
}

// The same on a connection of the pool.
export async function releaseFrom(pool, id) {
    const client = await pool.connect();
    try {
        await release(client, id);
    } finally {
        client.release();
    }
}

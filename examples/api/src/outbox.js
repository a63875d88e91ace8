// Takes events out of the outbox that the sweeper fills (queues.yaml), in the transaction of the release:
// an event is there if, and only if, the units came back. Several consumers may run at once: each skips
// what another has locked. Rows go when they have been handled; who dies in between leaves them to the
// others, so that an event is handled at least once: handle() must bear a second time.

// Handles up to `limit` events, the oldest first, and returns how many there were.
export async function consume(pool, handle, limit = 100) {
    const client = await pool.connect();
    let broken;
    try {
        await client.query('BEGIN');
        const { rows } = await client.query(
            `SELECT n, event, payload FROM outbox ORDER BY n LIMIT $1 FOR UPDATE SKIP LOCKED`,
            [limit],
        );
        for (const { event, payload } of rows) {
            await handle(event, payload);
        }
        await client.query('DELETE FROM outbox WHERE n = ANY ($1::bigint[])', [
            rows.map(({ n }) => n),
        ]);
        await client.query('COMMIT');
        return rows.length;
    } catch (error) {
        await client.query('ROLLBACK').catch((reason) => (broken = reason));
        throw error;
    } finally {
        client.release(broken);
    }
}

// Tells Redis when to look at a reservation. Called after COMMIT, never before: a transaction that
// is rolled back must leave nothing there.
//
// Postgres decides what is released, so Redis may miss a write: the sweeper's feed mirrors what
// expires soon, and forgets what was bought when its time has come. That is why the customer does
// not wait for these writes, and why one that fails is only logged.

const PENDING = '{reservations}:pending'; // SWEEPER_KEY_PREFIX is `reservations` by default

export class Mirror {
    constructor(redis, log) {
        this.redis = redis;
        this.log = log;
    }

    // After reserving, and after extending. dueMs is expires_at, rounded up to a millisecond.
    holds(id, dueMs) {
        this.#write(this.redis.zadd(PENDING, dueMs, id), id);
    }

    // After committing or cancelling.
    ended(id) {
        this.#write(this.redis.zrem(PENDING, id), id);
    }

    #write(answer, id) {
        answer.catch((error) => this.log(`reservation ${id} is not mirrored: ${error.message}`));
    }
}

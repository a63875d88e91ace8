// What a daemon would say of itself in the states that the page is looked at in.

const NOW = Date.parse('2026-03-14T09:26:53.589Z');
export const at = (seconds) => new Date(NOW + seconds * 1000).toISOString();

const BOUNDS = [
    0.0005, 0.001, 0.002, 0.003, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300,
];
const COUNTS = [0, 310, 5210, 9120, 4100, 1480, 610, 122, 31, 9, 4, 2, 0, 0, 0, 0, 0, 0, 0, 0];
const LATE = [0, 310, 5210, 9120, 4100, 1480, 610, 122, 31, 9, 4, 2, 8, 31, 120, 410, 90, 0, 0, 0];

// An hour with its usual ups and downs; `late`: in the last minutes of it nothing was released.
export function hour({ late = false, minutes = 60 } = {}) {
    const of = (f) => Array.from({ length: minutes }, (_, i) => f(60 - minutes + i));
    const quiet = (i) => (late && i > 56) || (i > 21 && i < 25);
    const bad = (i) => late && i > 53 && i <= 56;
    const wave = (i) => 1 + 0.5 * Math.sin(i / 3) + ((i * 7919) % 13) / 20;
    const counts = late ? LATE : COUNTS;
    return {
        released: counts.reduce((a, b) => a + b),
        p50Seconds: 0.002484,
        p99Seconds: late ? 18.41 : 0.01871,
        boundsSeconds: BOUNDS,
        counts,
        minutes: {
            released: of((i) => (quiet(i) ? 0 : Math.round(330 * wave(i)))),
            p50Seconds: of((i) => (quiet(i) ? null : (bad(i) ? 4 : 0.0024) * wave(i))),
            p99Seconds: of((i) => (quiet(i) ? null : (bad(i) ? 9 : 0.011) * wave(i))),
            overdueSeconds: of((i) => (late && i > 53 ? (i - 53) * 14 : 0.012)),
        },
    };
}

const server = (address, extra) => ({ address, up: true, clockOffsetSeconds: 0.00021, ...extra });

export function queue(name, extra = {}) {
    return {
        queue: name,
        ready: true,
        degraded: false,
        overdueSeconds: 0,
        failed: 0,
        kept: 0,
        keptAttention: 0,
        locked: 0,
        pending: 1284,
        inflight: 3,
        oldestOverdue: null,
        nextDueAt: at(0.4),
        lockedSeconds: 0,
        lockedReservations: [],
        keptReservations: [],
        failures: [],
        postgres: server('host=db.internal port=5432 dbname=shop'),
        lastHour: hour(),
        lastReconciliation: {
            finishedAt: at(-3120),
            ok: true,
            dryRun: false,
            durationSeconds: 4.212,
            releasedCount: 2,
            failedCount: 0,
            skippedCount: 0,
            mirrorMissing: 1,
            mirrorMisplaced: 0,
            mirrorOrphaned: 4,
            mirrorSpent: 91,
            leasesExpired: 0,
            stockChecked: 2200,
            stockDrifted: 0,
            stockRepaired: 0,
            verifyFound: 0,
            remainingCount: 0,
        },
        ...extra,
    };
}

export function status(queues = [queue('reservations')], extra = {}) {
    const total = (name) => queues.reduce((n, q) => n + q[name], 0);
    return {
        version: '0.2.0',
        now: at(0),
        ...(queues.length === 1 ? { ...queues[0], queue: undefined } : {
            ready: queues.every((q) => q.ready),
            reason: queues.filter((q) => !q.ready).map((q) => `queue ${q.queue}: ${q.reason}`).join('; ') || undefined,
            degraded: queues.some((q) => q.degraded),
            overdueSeconds: Math.max(...queues.map((q) => q.overdueSeconds)),
            failed: total('failed'),
            kept: total('kept'),
            keptAttention: total('keptAttention'),
            locked: total('locked'),
            lastHour: hour(),
        }),
        redis: server('redis.internal:6379/0', { clockOffsetSeconds: -0.00047 }),
        queues,
        ...extra,
    };
}

const ID = (n) => `7b0c2f4e-91d3-4c55-a1f0-${String(n).padStart(12, '0')}`;
export const failure = (n, extra = {}) => ({
    reservationId: ID(n),
    productId: `sku-${100 + (n % 7)}`,
    sqlstate: '23514',
    error: 'new row for relation "inventory" violates check constraint "inventory_reserved_stock_check"',
    attempts: 4 + (n % 5),
    firstFailedAt: at(-600 - n),
    lastFailedAt: at(-40),
    retryAt: at(20 + (n % 40)),
    ...extra,
});

const locked = (n, extra = {}) => ({
    reservationId: ID(900 + n),
    productId: 'sku-104',
    lockedSince: at(-75 - n),
    lockedSeconds: 75 + n,
    blockerPid: 41822,
    blockerUser: 'shop',
    blockerApplication: 'checkout-api',
    lockOn: 'counter',
    ...extra,
});

const kept = (n, attention) => ({ reservationId: ID(700 + n), since: at(attention ? -7300 : -95), dueAt: at(-95), lookAgainAt: at(12 + n), attention });

const LATE_REASON = 'a reservation has been overdue for 84 s: 7b0c2f4e-91d3-4c55-a1f0-000000000017';
const late = (name) => queue(name, {
    ready: false,
    reason: LATE_REASON,
    overdueSeconds: 84,
    oldestOverdue: { reservationId: ID(17), productId: 'sku-103', expiresAt: at(-84), overdueSeconds: 84 },
    nextDueAt: at(-84),
    pending: 20114,
    lastHour: hour({ late: true }),
});

export const MARKUP = '<img src=x onerror="window.hacked=1"><b>Tea & "cake"</b>';
const failures = (n, extra) => Array.from({ length: n }, (_, i) => failure(i, extra));

// Each: what /status says, and what /failures would list.
export const STATES = {
    'on-time': () => ({ status: status() }),
    late: () => ({ status: status([late('reservations')]) }),
    degraded: () => ({
        status: status([queue('reservations', {
            degraded: true, degradedReason: 'connection refused', pending: null, inflight: null, failed: null, nextDueAt: null,
        })], { redis: { address: 'redis.internal:6379/0', up: false, clockOffsetSeconds: null, error: 'connection refused' } }),
    }),
    paused: () => ({
        status: status([queue('reservations', {
            paused: { until: at(1512), reason: 'payment provider is down, ticket 4711', by: 'anna@ops-2' },
            overdueSeconds: 0, pending: 4120, nextDueAt: at(-281),
        })]),
    }),
    'many-refused': () => ({
        status: status([queue('reservations', { failed: 500, failures: failures(10), locked: 2, kept: 3, keptAttention: 1, keptReservations: [kept(3, true), kept(1, false), kept(2, false)],
            lockedSeconds: 77, lockedReservations: [locked(2), locked(0, { blockerPid: undefined, blockerUser: undefined, blockerApplication: undefined, lockOn: undefined })] })]),
        failures: failures(500),
    }),
    queues: () => {
        const queues = [queue('tickets', { failed: 3, failures: failures(3) }), queue('carts'), late('bookings'), queue('credits', { kept: 2, keptReservations: [kept(1, false), kept(2, false)], lastHour: hour({ minutes: 12 }) })];
        return { status: status(queues), failures: failures(3).map((f) => ({ queue: 'tickets', ...f })) };
    },
    markup: () => {
        const row = { productId: MARKUP, error: MARKUP, reservationId: MARKUP };
        const list = [failure(1, row), failure(2, { productId: 'x'.repeat(300), reservationId: 'y'.repeat(255) })];
        return {
            status: status([queue('reservations', { failed: 2, failures: list, locked: 1, lockedReservations: [locked(1, { productId: MARKUP, blockerApplication: MARKUP })],
                degraded: true, degradedReason: MARKUP, oldestOverdue: { reservationId: MARKUP, productId: MARKUP, expiresAt: at(-2), overdueSeconds: 2 }, overdueSeconds: 2,
                postgres: server(MARKUP, { up: false, error: MARKUP }) })]),
            failures: list,
        };
    },
    'just-started': () => ({
        status: status([queue('reservations', { ready: false, reason: 'starting', pending: null, inflight: null, failed: null, kept: null, keptAttention: null, locked: null, nextDueAt: null,
            overdueSeconds: null, lastReconciliation: null,
            lastHour: { released: 0, p50Seconds: null, p99Seconds: null, boundsSeconds: BOUNDS, counts: BOUNDS.map(() => 0).concat(0),
                minutes: { released: [0], p50Seconds: [null], p99Seconds: [null], overdueSeconds: [0] } } })]),
    }),
};

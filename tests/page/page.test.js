// The page in every state, against a daemon of our making (fake.js).

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, afterEach, before, beforeEach, test } from 'node:test';

import { SIZES, launch, open } from './browser.js';
import { Fake, TOKEN } from './fake.js';
import { MARKUP, STATES, at, failure, queue, status } from './states.js';

const axe = readFileSync(new URL('./node_modules/axe-core/axe.min.js', import.meta.url), 'utf8');
const SECOND_MS = 1000 * Number(process.env.RS_TIME_FACTOR ?? 1);

let browser, fake, page;

before(async () => {
    browser = await launch();
});
after(() => browser.close());
beforeEach(async () => {
    fake = await new Fake().start();
});
afterEach(async () => {
    await page?.context().close();
    page = undefined;
    await fake.stop();
});

// Opens the page on a state, once it shows it.
async function see(state, options) {
    fake.say(typeof state === 'string' ? STATES[state]() : state);
    page = await open(browser, fake.url, options);
    page.setDefaultTimeout(10 * SECOND_MS);
    await page.locator('#fresh', { hasText: 'as of' }).waitFor();
    return page;
}

const text = (selector) => page.locator(selector).innerText();
const has = (selector, what) => page.locator(selector, { hasText: what }).first().waitFor();
// So many of them, soon: what the page draws after an event may come a turn later.
async function numbers(selector, n) {
    const until = Date.now() + 10 * SECOND_MS;
    while (await page.locator(selector).count() !== n && Date.now() < until) await page.waitForTimeout(20);
    assert.equal(await page.locator(selector).count(), n, selector);
}
// What axe has to say of the page, or of a part of it: nothing.
async function complain(part = 'html') {
    await page.evaluate(axe);
    const { violations } = await page.evaluate((selector) => axe.run(selector), part);
    assert.deepEqual(violations.map((v) => [v.id, v.nodes.map((n) => n.html)]), []);
}
// An action's button, the question, the token where it is asked for, and what is said at the end.
async function act(button, { token = TOKEN, fill = {} } = {}) {
    await page.getByRole('button', { name: button, exact: true }).click();
    for (const [label, value] of Object.entries(fill)) await page.getByLabel(label).fill(value);
    const field = page.locator('#ask-token input');
    if (await field.isVisible()) await field.fill(token);
    await page.locator('#ask-go').click();
}

const VERDICTS = {
    'on-time': ['On time', 'Nothing is overdue.'],
    late: ['Late', 'A reservation has been overdue for 84 s: 7b0c2f4e'],
    degraded: ['On time, without Redis', 'Redis cannot be used: connection refused.'],
    paused: ['Paused', ''],
    'many-refused': ['On time', 'Nothing is overdue.'],
    queues: ['Late', 'Queue bookings: a reservation has been overdue'],
    'just-started': ['Starting', ''],
};
for (const [state, [word, reason]] of Object.entries(VERDICTS)) {
    test(`says at once: ${state}`, async () => {
        await see(state);
        const took = await page.evaluate(() => performance.getEntriesByType('resource').find((e) => e.name.endsWith('/status')).responseEnd);
        assert.equal(await text('#state'), word);
        assert.ok((await text('#reason')).startsWith(reason), await text('#reason'));
        assert.equal(await page.title(), `${word} · reservation-sweeper`);
        assert.ok(took < SECOND_MS, `${took} ms`);
        assert.deepEqual(page.complaints, []);
    });
}

// Sizes and colours: nothing is wider than the window, and axe has nothing to say.
for (const state of Object.keys(STATES)) {
    for (const [size, dark] of [['wide', false], ['phone', true]]) {
        test(`can be read by all: ${state}, ${size}${dark ? ', dark' : ''}`, async () => {
            await see(state, { size, dark, bypassCSP: true }); // axe is put into the page
            await page.locator('#minutes summary').click();
            await has('#minutes', 'Longest overdue');
            for (const width of [320, SIZES.phone.width, 768, SIZES.wide.width]) {
                await page.setViewportSize({ width, height: 900 });
                const wide = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
                assert.ok(wide <= 0, `${wide} px wider than ${width}`);
            }
            await page.setViewportSize(SIZES[size]);
            await complain();
        });
    }
}

test('the dialogs can be read by all', async () => {
    for (const dark of [false, true]) {
        await see('many-refused', { dark, size: 'phone', bypassCSP: true });
        for (const name of ['Pause …', 'Reconcile …', 'Token …', 'Forget all …']) {
            await page.getByRole('button', { name, exact: true }).click();
            await complain('dialog');
            await page.keyboard.press('Escape');
        }
        await page.context().close();
    }
});

test('nothing moves', async () => {
    await see('late', { reducedMotion: 'no-preference' });
    const moving = await page.evaluate(() => document.getAnimations().length);
    const css = readFileSync(new URL('../../web/page.css', import.meta.url), 'utf8');
    assert.equal(moving, 0);
    assert.doesNotMatch(css, /animation|transition|@keyframes/);
});

test('lateness: the histogram, p50 and p99, and the last hour', async () => {
    await see('late');
    assert.match(await text('#figures'), /p50 2\.5 ms.*p99 18 s.*released 21,657/s);
    const label = await page.locator('#histogram svg').getAttribute('aria-label');
    assert.match(label, /^Of 21,657 releases: .*2 ms to 3 ms: 9,120;.*10 s to 30 s: 410; 30 s to 60 s: 90\.$/);
    await numbers('#histogram .bar', 16);
    await numbers('#histogram .bar.worse', 1);
    assert.match(await page.locator('#course svg').getAttribute('aria-label'), /longest overdue 84 s/);
    await numbers('#course .bar', 54);
    await page.locator('#minutes summary').click();
    await numbers('#minutes tbody tr', 60);
    assert.match(await text('#minutes tbody tr:first-child'), /^0\s+0\s+–\s+–\s+84 s$/);
});

test('a histogram of what is slower than its last bound', async () => {
    const slow = status();
    slow.lastHour = { ...slow.lastHour, counts: [...slow.lastHour.counts.slice(0, -1), 7], p99Seconds: 300 };
    slow.queues = [{ ...slow.queues[0], lastHour: slow.lastHour }];
    await see({ status: slow });
    assert.match(await page.locator('#histogram svg').getAttribute('aria-label'), /over 5 min: 7\.$/);
});

test('several queues: all of them, and each', async () => {
    await see('queues');
    assert.deepEqual(await page.locator('#queues tbody th').allInnerTexts(), ['tickets', 'carts', 'bookings', 'credits']);
    assert.match(await text('#queues tbody tr:nth-child(3)'), /Late.*20,114/s);
    assert.match(await text('#facts'), /Pending\s+23,966/);
    await has('#refused .list', 'queue tickets');
    await page.getByLabel('Queue', { exact: true }).selectOption('carts');
    await has('#state', /^On time$/);
    assert.match(await text('#facts'), /Pending\s+1,284/);
    await has('#refused .n', 'none');
    await numbers('#refused .list li', 0);
    await act('Sweep now …');
    await has('#ask-result', 'done');
    assert.deepEqual(fake.asked, ['/sweep?queue=carts']);
});

test('500 refusals: a page of them, more, and those of one product', async () => {
    await see('many-refused');
    assert.equal(await text('#refused .n'), '500');
    await numbers('#refused .list li', 25);
    await page.getByRole('button', { name: '25 are shown: show more' }).click();
    await has('#more', '125 are shown');
    await numbers('#refused .list li', 125);
    await page.getByLabel('Product').fill('sku-103');
    await page.getByRole('button', { name: 'Filter' }).click();
    await page.locator('#refused .list li', { hasText: 'sku-100' }).first().waitFor({ state: 'detached' });
    const rows = await page.locator('#refused .list li').allInnerTexts();
    assert.ok(rows.length === 25 && rows.every((row) => row.includes('product sku-103')));
    fake.answers['/forget'] = [200, { forgottenCount: 71 }];
    await act('Forget all …');
    await has('#ask-result', 'forgotten 71');
    assert.deepEqual(fake.asked, ['/forget?all=true&product=sku-103']);
});

test('foreign text stays text', async () => {
    await see('markup');
    fake.answers['/explain'] = [200, { why: MARKUP, todo: MARKUP, next: MARKUP, holds: [{ [MARKUP]: MARKUP }] }];
    assert.equal(await text('#refused .list li:first-child .id'), MARKUP);
    for (const place of ['#notes', '#reason', '#locked', '#servers']) assert.ok((await text(place)).includes(MARKUP), place);
    await page.locator('#refused .list li:first-child').getByRole('button', { name: /^Why/ }).click();
    await has('#ask-fields', MARKUP);
    fake.answers['/retry'] = [500, { error: MARKUP }];
    await page.keyboard.press('Escape');
    await page.locator('#refused .list li:first-child').getByRole('button', { name: /^Retry/ }).click();
    await page.locator('#ask-token input').fill(TOKEN);
    await page.locator('#ask-go').click();
    await has('#ask-result', MARKUP);
    await has('#log', MARKUP);
    await numbers('img, b:not(#figures b)', 0);
    assert.equal(await page.evaluate(() => window.hacked), undefined);
    assert.deepEqual(page.complaints, ['Failed to load resource: the server responded with a status of 500 (Internal Server Error)']);
});

test('a browser is told to make no markup of text', async () => {
    await see('on-time');
    const refused = await page.evaluate(() => {
        try {
            document.body.innerHTML = '<b>x</b>';
        } catch (error) {
            return error.name;
        }
    });
    assert.equal(refused, 'TypeError');
});

test('a daemon that is gone, and comes back', async () => {
    await see('on-time');
    await fake.stop();
    await has('#state', 'No answer');
    assert.match(await text('#reason'), /^Nobody answers here since \d\d:\d\d:\d\d \(\d+ s\): .* What follows is as it was then\.$/);
    assert.match(await text('#facts'), /Pending\s+1,284/);
    await has('#reason', /\((?:[3-9]|\d\d) s\)/); // it goes on counting
    await fake.start();
    await has('#state', /^On time$/);
});

test('a daemon that was never there', async () => {
    await see('on-time');
    await page.route('**/status', (route) => route.abort());
    await page.reload();
    await has('#state', 'No answer');
    assert.doesNotMatch(await text('#reason'), /What follows/);
});

test('a token to read with', async () => {
    fake.readToken = true;
    await see('many-refused');
    assert.equal(await text('#state'), 'On time');
    await has('#notes', 'needs a token');
    assert.equal(await page.locator('#refused').isVisible(), false);
    await page.locator('#notes').getByRole('button', { name: 'Token …' }).click();
    await page.locator('#ask-token input').fill(TOKEN);
    await page.keyboard.press('Enter');
    await has('#refused .n', '500');
    assert.equal(await page.locator('#notes', { hasText: 'needs a token' }).count(), 0);
});

test('the token is in the memory of the tab alone', async () => {
    await see('on-time');
    await act('Sweep now …');
    await has('#ask-result', 'done');
    await page.locator('#ask-no').click();
    await act('Sweep now …'); // is not asked for again
    await has('#ask-result', 'done');
    assert.equal(fake.asked.length, 2);
    const kept = await page.evaluate(async (token) => ({
        cookies: document.cookie, local: localStorage.length, session: sessionStorage.length,
        databases: (await indexedDB.databases()).length, shown: document.documentElement.outerHTML.includes(token),
        typed: document.querySelector('#ask-token input').value, address: location.href.includes(token),
    }), TOKEN);
    assert.deepEqual(kept, { cookies: '', local: 0, session: 0, databases: 0, shown: false, typed: '', address: false });
    assert.deepEqual(await page.context().cookies(), []);
    await page.reload();
    await page.getByRole('button', { name: 'Sweep now …' }).click();
    assert.equal(await page.locator('#ask-token').isVisible(), true);
});

test('a wrong token is asked for again', async () => {
    await see('on-time');
    await act('Sweep now …', { token: 'a wrong one' });
    await has('#ask-result', 'the bearer token is missing or wrong');
    await page.locator('#ask-token input').fill(TOKEN);
    fake.answers['/sweep'] = [200, { cleanedCount: 0 }];
    await page.locator('#ask-go').click();
    await has('#ask-result', 'released 0');
});

test('actions ask first, and show what happened', async () => {
    await see('many-refused');
    fake.answers = {
        '/sweep': [500, { cleanedCount: 12, failedCount: 3, error: 'Postgres refused 3' }],
        '/reconcile': [409, { error: 'a reconciliation is running' }],
        '/pause': [200, { paused: true, until: '2026-03-14T11:26:53.000Z' }], '/retry': [200, { retriedCount: 1 }], '/forget': [200, { forgottenCount: 1 }],
    };
    await page.getByRole('button', { name: 'Sweep now …' }).click();
    await page.locator('#ask-no').click();
    await page.getByRole('button', { name: 'Sweep now …' }).click();
    await page.keyboard.press('Escape');
    assert.deepEqual(fake.asked, []);
    await act('Sweep now …');
    await has('#ask-result', 'It failed: Postgres refused 3 (released 12, refused 3)');
    assert.equal(await page.evaluate(() => document.activeElement.id), 'ask-no');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.dataset.act), 'sweep');

    await page.getByRole('button', { name: 'Reconcile …' }).click();
    await page.getByLabel('Dry run').check();
    await page.locator('#ask-go').click();
    await has('#ask-result', 'a reconciliation is running');
    await page.locator('#ask-no').click();

    await page.getByRole('button', { name: 'Pause …' }).click();
    await page.locator('#ask-go').click(); // a reason is wanted
    assert.equal(await page.locator('dialog').isVisible(), true);
    assert.equal(fake.asked.length, 2);
    await page.locator('dialog').getByLabel('Why').fill('a & b');
    await page.getByLabel('For how long').fill('2h');
    await page.locator('#ask-go').click();
    await has('#ask-result', 'until 11:26:53');
    await page.locator('#ask-no').click();

    await act('Retry 7b0c2f4e-91d3-4c55-a1f0-000000000002');
    await has('#ask-result', 'retried 1');
    await page.locator('#ask-no').click();
    await act('Retry all …');
    await has('#ask-result', 'retried 1');
    await page.locator('#ask-no').click();
    assert.deepEqual(fake.asked, [
        '/sweep', '/reconcile?dryRun=true', '/pause?for=2h&reason=a+%26+b',
        '/retry?id=7b0c2f4e-91d3-4c55-a1f0-000000000002', '/retry?all=true',
    ]);
    const log = await page.locator('#log li').allInnerTexts();
    assert.equal(log.length, 5);
    assert.match(log[4], /^\d\d:\d\d:\d\d\s+Sweep now: Postgres refused 3/);
});

test('a pause can be ended', async () => {
    await see('paused');
    assert.equal(await page.locator('[data-act=pause]').isVisible(), false);
    await has('#notes', 'payment provider is down, ticket 4711');
    await act('Resume …');
    await has('#ask-result', 'done');
    assert.deepEqual(fake.asked, ['/resume']);
});

test('a pause of one queue of several', async () => {
    const { paused } = STATES.paused().status;
    await see({ status: status([queue('a'), queue('b', { paused })], { paused }) });
    assert.equal(await text('#state'), 'Paused in part');
    assert.deepEqual(await page.locator('#queues td.left').allInnerTexts(), ['On time', 'Paused']);
    for (const name of ['pause', 'resume']) assert.equal(await page.locator(`[data-act=${name}]`).isVisible(), true);
    await page.getByLabel('Queue', { exact: true }).selectOption('b');
    await has('#state', /^Paused$/); // no more in part
    assert.equal(await page.locator('[data-act=pause]').isVisible(), false);
});

test('a daemon that is gone in the middle of an action', async () => {
    await see('on-time');
    await page.route('**/sweep', (route) => route.abort());
    await act('Sweep now …');
    await has('#ask-result', 'It failed: no answer');
});

test('by keyboard alone: in the order in which it is seen, and back again', async () => {
    await see('many-refused');
    const at = () => page.evaluate(() => document.activeElement.textContent || document.activeElement.name);
    const order = [];
    for (let i = 0; i < 14; i++) {
        await page.keyboard.press('Tab');
        order.push(await at());
    }
    assert.deepEqual(order, ['1 kept for too long', '500', '2', '3', 'Sweep now …', 'Reconcile …', 'Pause …', 'Token …',
        'Minute by minute', 'product', 'sqlstate', 'Filter', 'Retry all …', 'Forget all …']);
    for (let i = 0; i < 3; i++) await page.keyboard.press('Tab');
    assert.equal(await at(), 'Forget …');
    await page.keyboard.press('Enter');
    assert.equal(await page.evaluate(() => document.activeElement.closest('dialog')?.id), 'ask');
    await page.keyboard.press('Escape');
    assert.equal(await at(), 'Forget …');
});

test('the focus stays where it is while what is shown changes', async () => {
    await see('many-refused');
    const button = page.getByRole('button', { name: 'Retry 7b0c2f4e-91d3-4c55-a1f0-000000000001' });
    await button.focus();
    const next = STATES['many-refused']();
    next.status.failed = next.status.queues[0].failed = 499;
    next.failures = next.failures.slice(1);
    fake.say(next);
    await has('#refused .n', '499');
    await page.locator('#refused .list li:first-child', { hasText: '000000000001' }).waitFor();
    assert.equal(await button.evaluate((e) => e === document.activeElement), true);
});

test('what has not changed is left as it is: a selection, a place that is read', async () => {
    await see('many-refused');
    const parts = ['#notes li', '#facts div', '#histogram svg', '#course svg', '#refused li', '#locked li', '#kept li', '#servers dd'];
    await page.evaluate((list) => list.forEach((part) => { document.querySelector(part).mark = true; }), parts);
    const looks = fake.looks;
    while (fake.looks < looks + 3) await page.waitForTimeout(50);
    const left = await page.evaluate((list) => list.filter((part) => document.querySelector(part).mark), parts);
    assert.deepEqual(left, parts);
});

test('landmarks, a heading for each part, and what is said by itself', async () => {
    await see('many-refused');
    for (const role of ['banner', 'main', 'contentinfo']) assert.equal(await page.getByRole(role).count(), 1, role);
    assert.deepEqual(await page.getByRole('heading', { level: 2 }).allInnerTexts(), ['On time', 'Lateness, the last hour', 'Refused 500',
        'Locked 2', 'Kept 3, 1 for too long', 'Why is it not released?', 'Servers', 'Last reconciliation']);
    assert.equal(await page.locator('#state').getAttribute('role'), 'status');
    // What ticks is not said again and again.
    assert.equal(await page.locator('[role=status], [role=alert], [role=log], [aria-live]').locator('time[data-at]').count(), 0);
});

test('why: a form, and a button at each reservation', async () => {
    await see('many-refused');
    fake.answers['/explain'] = [200, { reservationId: 'r-1', cause: 'refused', why: 'Postgres refuses it.', todo: 'Repair the counter.', next: 'It is tried again in 20 s.', dueAt: at(-5), blocker: null, holds: [{ active: true, productId: 'p-1' }] }];
    await page.getByLabel('Reservation').fill('r-1');
    await page.keyboard.press('Enter');
    await has('#ask-title', 'Why is r-1 not released?');
    for (const sentence of ['Postgres refuses it.', 'Repair the counter.', 'It is tried again in 20 s.']) await has('dialog', sentence);
    await page.locator('dialog summary').click();
    await has('dialog dl dl', 'p-1');
    assert.doesNotMatch(await text('dialog'), /blocker/);
    await page.keyboard.press('Escape');
    fake.answers['/explain'] = [404, { error: 'there is no such reservation' }];
    await page.locator('#locked').getByRole('button', { name: /^Why/ }).first().click();
    await has('dialog', 'there is no such reservation');
});

test('a list that cannot be had is said, and what /status has is shown', async () => {
    fake.say(STATES['many-refused']());
    page = await open(browser, 'about:blank');
    await page.route('**/failures*', (route) => route.fulfill({ status: 503, json: { error: 'Redis is out of reach' } }));
    await page.goto(fake.url);
    await has('#refused', 'The whole list cannot be had: Redis is out of reach.');
    await numbers('#refused .list li', 11);
});

test('what is kept: since when, and what is wanted', async () => {
    await see('many-refused');
    await numbers('#kept .list li', 3);
    assert.match(await text('#kept .list li:first-child'), /7b0c.*703.*for too long · since 2 h ago, looked at again in 1\d s/s);
    await act('Retry 7b0c2f4e-91d3-4c55-a1f0-000000000703');
    await has('#ask-result', 'done');
    assert.deepEqual(fake.asked, ['/retry?id=7b0c2f4e-91d3-4c55-a1f0-000000000703']);
});

test('clocks that are apart: times are by Postgres’s', async () => {
    await see({ status: status([queue('reservations', { failed: 1 })]), failures: [failure(0, { retryAt: at(40) })] });
    await has('#refused .list', /next in (?:40|39|38) s/);
});

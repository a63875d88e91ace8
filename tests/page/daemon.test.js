// The page as the daemon itself serves it, from the first look to the daemon's end.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { launch, open } from './browser.js';

const SCRIPT = fileURLToPath(new URL('daemon.py', import.meta.url));
const LIMIT_MS = 30_000 * Number(process.env.RS_TIME_FACTOR ?? 1);
const PRODUCT = '00000000-0000-4000-8000-00000000000';

let browser, page, shop, lines, url, token;

before(async () => {
    shop = spawn(process.env.PYTHON ?? '/usr/bin/python3', [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
    lines = createInterface({ input: shop.stdout })[Symbol.asyncIterator]();
    ({ url, token } = JSON.parse((await lines.next()).value));
    browser = await launch();
    page = await open(browser, url);
    page.setDefaultTimeout(LIMIT_MS);
});
after(async () => {
    await browser?.close();
    shop.stdin.end();
    if (shop.exitCode === null) await once(shop, 'exit');
    assert.equal(shop.exitCode, 0);
});

async function say(...command) {
    shop.stdin.write(`${JSON.stringify(command)}\n`);
    return JSON.parse((await lines.next()).value);
}
const has = (selector, what) => page.locator(selector, { hasText: what }).first().waitFor();
async function act(button, result) {
    await page.getByRole('button', { name: button }).first().click();
    const field = page.locator('#ask-token input');
    if (await field.isVisible()) await field.fill(token);
    await page.locator('#ask-go').click();
    await has('#ask-result', result);
    await page.locator('#ask-no').click();
}

test('what is released is seen', async () => {
    await has('#state', 'On time');
    await say('reserve', `${PRODUCT}1`, 7, 0.5);
    await has('#figures', 'released 7');
    assert.match(await page.locator('#histogram svg').getAttribute('aria-label'), /^Of 7 releases/);
    for (const server of ['Postgres', 'Redis']) await has('#servers', server);
    assert.equal(await page.locator('#servers .good').count(), 2);
    assert.deepEqual(page.complaints, []);
});

test('what others have locked, and by whom', async () => {
    await say('reserve', `${PRODUCT}2`, 2, 3);
    await say('lock', `${PRODUCT}2`);
    await has('#locked .n', '2');
    await has('#locked .list', `product ${PRODUCT}2`);
    await say('unlock');
    await has('#locked .n', 'none');
    await has('#figures', 'released 9');
});

test('what Postgres refuses, until its counter is repaired', async () => {
    const [id] = await say('reserve', `${PRODUCT}3`, 1, 1);
    await say('drift', `${PRODUCT}3`, 1);
    await has('#refused .list', id);
    await has('#refused .list', 'SQLSTATE 23514');
    await has('#refused .list', `product ${PRODUCT}3`);
    assert.equal(await page.locator('#state').innerText(), 'On time');
    await page.getByRole('button', { name: `Why is ${id} not released?` }).first().click();
    await has('#ask-text', '23514');
    await page.locator('dialog summary').click();
    await has('dialog dl dl', `${PRODUCT}3`);
    await page.locator('#ask-no').click();
    await act(`Retry ${id}`, 'retried 1');
    await act(`Forget ${id}`, 'forgotten 1');
    await has('#refused .list', id); // it is still refused
    await page.getByRole('button', { name: 'Reconcile …' }).click();
    await page.getByLabel('Repair stock').check();
    await page.locator('#ask-go').click();
    await has('#ask-result', 'it has begun');
    await page.locator('#ask-no').click();
    await has('#reconciliation', 'stock repaired 1');
    await has('#refused .n', 'none');
});

test('a sweep from the page', async () => {
    await act('Sweep now …', 'released 0');
    await has('#log', 'Sweep now: released 0');
});

test('a pause: nothing is released in it, and all of it afterwards', async () => {
    await page.getByRole('button', { name: 'Pause …' }).click();
    await page.getByLabel('For how long').fill('20m');
    await page.locator('dialog').getByLabel('Why').fill('<b>a provider</b> is down');
    await page.locator('#ask-go').click();
    await has('#ask-result', 'until ');
    await page.locator('#ask-no').click();
    await has('#state', 'Paused');
    await has('#notes', ', in 20 min: <b>a provider</b> is down (by HTTP from 127.0.0.1');
    const before = await page.locator('#figures').innerText();
    await say('reserve', `${PRODUCT}1`, 3, -1);
    await act('Sweep now …', 'paused');
    assert.equal(await page.locator('#figures').innerText(), before);
    await act('Resume …', 'done');
    await has('#state', 'On time');
    const released = Number(before.match(/released (\d+)/)[1]);
    await has('#figures', `released ${released + 3}`);
});

test('it says so when the daemon has ended', async () => {
    assert.equal(await say('stop'), 0);
    await has('#state', 'No answer');
});

// Debian's Chromium, without a window.

import { chromium } from 'playwright-core';

export const launch = () =>
    chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-gpu'] });

export const SIZES = { wide: { width: 1280, height: 900 }, phone: { width: 360, height: 740 } };

// The page as it is opened: with what the browser complains of.
export async function open(browser, url, { size = 'wide', dark = false, ...more } = {}) {
    const context = await browser.newContext({
        viewport: SIZES[size], colorScheme: dark ? 'dark' : 'light', locale: 'en-GB', timezoneId: 'UTC', ...more,
    });
    const page = await context.newPage();
    page.complaints = [];
    page.on('console', (message) => message.type() === 'error' && page.complaints.push(message.text()));
    page.on('pageerror', (error) => page.complaints.push(String(error)));
    page.on('request', (request) => new URL(request.url()).origin === new URL(url).origin
        || request.url() === 'data:,' || page.complaints.push(`asks elsewhere: ${request.url()}`));
    await page.goto(url);
    return page;
}

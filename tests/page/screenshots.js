// Draws the page in its states: node screenshots.js FOLDER [all]

import { Fake } from './fake.js';
import { launch, open } from './browser.js';
import { STATES } from './states.js';

// For the documents, each once; `all`: every state in every look, to be looked at.
const DOCUMENTS = { 'on-time': ['wide'], late: ['wide'], paused: ['phone'], 'many-refused': ['phone', true], queues: ['wide', true] };
const LOOKS = [['wide'], ['wide', true], ['phone'], ['phone', true]];

const [folder, all] = process.argv.slice(2);
const browser = await launch();
const fake = await new Fake().start();
for (const [name, state] of Object.entries(STATES)) {
    const looks = all ? LOOKS : DOCUMENTS[name] ? [DOCUMENTS[name]] : [];
    for (const [size, dark] of looks) {
        fake.say(state());
        const page = await open(browser, fake.url, { size, dark });
        await page.locator('#fresh', { hasText: 'as of' }).waitFor();
        const path = `${folder}/${name}${all ? `-${size}${dark ? '-dark' : ''}` : ''}.png`;
        const clip = { x: 0, y: 0, width: page.viewportSize().width, height: size === 'wide' ? 1020 : 1500 };
        await page.screenshot({ path, fullPage: true, ...(all ? {} : { clip }) });
        await page.context().close();
    }
}
await browser.close();
await fake.stop();

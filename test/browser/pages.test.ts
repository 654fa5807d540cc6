/** The pages in a real browser: what it shows, what it complains about, and what a keyboard can do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { VmHistoryAnswer } from '../../src/web/page/history-answer.js';
import { serveManyVms } from '../support/agent/many-vms.js';
import { WebAgent } from '../support/agent/web-agent.js';
import type { BrowserPage } from '../support/browser/browser-page.js';
import { Chromium } from '../support/browser/chromium.js';
import { endAll, endLater } from '../support/end-later.js';
import { ROOT } from '../support/paths.js';
import { needs } from '../support/requirements.js';

const BROWSER = { ...needs('chromium'), timeout: 600_000 };
const HOSTILE = `<img src=x onerror="window.hacked=1">"'&%2e%2e/..`;

after(endAll);

let running: Promise<Chromium> | undefined;

async function newPage(): Promise<BrowserPage> {
  running ??= Chromium.start().then((browser) => {
    endLater(() => browser.close());
    return browser;
  });
  const page = await (await running).newPage();
  await page.show({ width: 1280 });
  return page;
}

const ROWS = `[...document.querySelectorAll('#vms tbody tr')].filter((row) => !row.hidden)`;
const namesOf = (page: BrowserPage) => page.value<string[]>(`${ROWS}.map((row) => row.cells[0].textContent)`);
const focused = (page: BrowserPage) => page.value<string>('document.activeElement.textContent');
const clickHeading = (title: string) =>
  `[...document.querySelectorAll('#vms thead button')].find((each) => each.textContent === '${title}').click()`;

/** Pages of the demonstration, each in light and dark, on a screen and on a phone. */
for (const path of ['/', '/vm?name=legacy-db', '/docs', '/advice', '/advice/emulated-disk'])
  test(`${path}: no error, nothing from elsewhere, accessible, fits a phone`, BROWSER, async () => {
    const { url } = await WebAgent.start('--advice.lasting=2s');
    const page = await newPage();
    const axe = readFileSync(join(ROOT, 'node_modules/axe-core/axe.min.js'), 'utf8');
    for (const dark of [false, true])
      for (const width of [1280, 1000, 360]) {
        await page.show({ width, dark });
        await page.open(`${url}${path}`);
        if (path.startsWith('/vm'))
          await page.until(`document.querySelectorAll('figure:not([hidden]) canvas').length >= 7`);
        if (path === '/') await page.until(`document.querySelectorAll('.trend svg path').length >= 4`);
        // axe runs in the page's world, past its policy.
        await page.value(`${axe}; 0`);
        const { violations } = await page.value<{ violations: { id: string; nodes: { html: string }[] }[] }>(
          'axe.run().then(({ violations }) => ({ violations }))',
        );
        assert.deepEqual(
          violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join()}`),
          [],
          `${width} ${dark}`,
        );
        assert.equal(await page.value('document.documentElement.scrollWidth'), width);
        const background = await page.value<string>('getComputedStyle(document.body).backgroundColor');
        assert.equal(background, dark ? 'rgb(13, 17, 23)' : 'rgb(255, 255, 255)');
      }
    assert.deepEqual(page.errors, []);
    assert.deepEqual(
      page.requests.filter((request) => !request.startsWith(url)),
      [],
    );
  });

test('figures are on the pages without scripts', BROWSER, async () => {
  const { url } = await serveManyVms(['a', 'b']);
  const page = await newPage();
  await page.disableScripts();
  for (const path of ['/', '/vm?name=b']) {
    await page.open(`${url}${path}`);
    // The first observations are half a second apart; without scripts, the page reloads itself.
    await page.until(`/3,[67]\\d\\d/.test(document.body.innerText)`);
    assert.ok(await page.value(`document.body.innerText.includes('What to change')`));
  }
  assert.deepEqual(page.errors, []);
});

test('a hundred VMs: the first paint has their figures; sort, filter, refresh', BROWSER, async (t) => {
  const names = Array.from({ length: 100 }, (_, index) => `vm-${index}`);
  const { url, rates } = await serveManyVms(names);
  const page = await newPage();
  await page.open(`${url}/`);
  const paint = `performance.getEntriesByName('first-contentful-paint')[0]?.startTime`;
  await page.until(paint);
  t.diagnostic(`first paint after ${Math.round(await page.value<number>(paint))} ms`);
  // What is painted first is what the server sends: all figures are in it.
  const html = await (await fetch(`${url}/`)).text();
  assert.equal([...html.matchAll(/data-label="exits\/s to KVM" data-value="[\d.]+">/g)].length, 100);

  const byRate = [...names].sort((a, b) => (rates.get(b) ?? 0) - (rates.get(a) ?? 0));
  await page.value(clickHeading('exits/s to KVM'));
  assert.deepEqual(await namesOf(page), byRate);
  assert.equal(await page.value(`document.querySelector('[aria-sort]').getAttribute('aria-sort')`), 'descending');
  await page.value(clickHeading('exits/s to KVM'));
  assert.deepEqual(await namesOf(page), byRate.toReversed());
  await page.value(clickHeading('VM'));
  assert.deepEqual(await namesOf(page), names);

  await page.value(`document.getElementById('filter').focus()`);
  await page.type('vm-1');
  const matching = names.filter((name) => name.startsWith('vm-1'));
  assert.deepEqual(await namesOf(page), matching);
  assert.equal(await page.value(`document.getElementById('shown').textContent`), `${matching.length} of 100 VMs`);

  // The next version of the page has other figures, and the same order, filter, focus and open findings.
  await page.value(`document.querySelector('details').open = true; ${ROWS}[0].cells[0].firstChild.focus()`);
  await page.value(`document.getElementById('state').dataset.seen = 'yes'`);
  await page.until(`document.getElementById('state').dataset.seen === undefined`);
  assert.deepEqual(await namesOf(page), matching);
  assert.equal(await page.value(`document.querySelector('details').open`), true);
  assert.equal(await focused(page), 'vm-1');
  await page.until(`document.querySelectorAll('.trend svg').length === 100`);
  assert.deepEqual(page.errors, []);
});

test('a keyboard sorts, filters, opens a VM and moves the cursor of a chart', BROWSER, async () => {
  const { url } = await serveManyVms(['a', 'b', 'c']);
  const page = await newPage();
  await page.open(`${url}/`);
  await page.press('Tab');
  assert.equal(await page.value('document.activeElement.id'), 'filter');
  await page.press('Tab');
  assert.equal(await focused(page), 'VM');
  await page.press('Tab');
  await page.press('Tab');
  assert.equal(await focused(page), 'exits/s to KVM');
  await page.press('Enter');
  // 0, 37 and 74 hundred per second.
  assert.deepEqual(await namesOf(page), ['c', 'b', 'a']);
  // Steps are half a second apart, and the chart needs some that the cursor can move to.
  const history = async () => (await (await fetch(`${url}/api/history?name=c`)).json()) as VmHistoryAnswer;
  while ((await history()).seconds_ago.length < 12) await sleep(100);
  await page.value(`document.querySelector('#vms tbody a').focus()`);
  await page.press('Enter');
  await page.until(`document.title === 'c'`);
  await page.until(`document.querySelectorAll('#exits .legend button').length === 2`);
  await page.until(`document.querySelector('#exits .legend').textContent.includes('7,400/s')`);

  const time = `document.querySelector('#exits .legend-time').textContent`;
  const latest = await page.value<string>(time);
  await page.value(`document.querySelector('#exits .plot').focus()`);
  for (let i = 0; i < 6; i++) await page.press('ArrowLeft');
  await page.until(`${time} !== ${JSON.stringify(latest)}`);
  await page.press('Tab');
  assert.match(await focused(page), /^to KVM/);
  await page.press('Enter');
  assert.equal(await page.value(`document.activeElement.getAttribute('aria-pressed')`), 'false');
  assert.deepEqual(page.errors, []);
});

test('a name cannot add to the page, and leads to its VM', BROWSER, async () => {
  const { url } = await serveManyVms([HOSTILE, 'b']);
  const page = await newPage();
  await page.open(`${url}/`);
  await page.until(`document.querySelectorAll('.trend svg').length === 2`);
  assert.ok((await namesOf(page)).includes(HOSTILE));
  await page.value(`[...document.querySelectorAll('#vms tbody a')].find((a) => a.textContent.startsWith('<')).click()`);
  await page.until(`document.title === ${JSON.stringify(HOSTILE)}`);
  await page.until(`document.querySelectorAll('#exits .legend button').length === 2`);
  assert.equal(await page.value('typeof window.hacked'), 'undefined');
  assert.equal(await page.value(`document.querySelectorAll('img').length`), 0);
  assert.deepEqual(page.errors, []);
});

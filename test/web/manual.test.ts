import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Manual, SHELF_NAMES } from '../../src/web/manual.js';
import { ROOT } from '../support/paths.js';

const manual = new Manual({
  version: '1',
  telemetryPath: '/metrics',
  notice: undefined,
  href: (name: string) => `/assets/${name}`,
});
const names = (folder: string) => readdirSync(join(ROOT, folder)).map((file) => file.replace(/\.md$/, ''));

test('every runbook is a page with its title, and its links lead to pages or to the web site', async () => {
  const runbooks = names('deploy/runbooks');
  assert.ok(runbooks.length >= 15);
  const advice = names('docs/advice');
  for (const name of runbooks) {
    const html = String(await manual.page('/runbooks', name));
    assert.ok(html.includes(`<h1>${name}</h1>`), name);
    assert.ok(html.includes('<h2>Mitigation</h2>'), name);
    for (const [, link = ''] of html.matchAll(/<a [^>]*href="([^"]*)"/g)) {
      const [path = ''] = link.split('#');
      const [, shelf = '', page = ''] = /^\/(\w*)\/?([\w-]*)$/.exec(path) ?? [];
      const isPage = path === '/' || (shelf === 'runbooks' ? runbooks : advice).includes(page);
      assert.ok(isPage || link.startsWith('https://'), `${name}: ${link}`);
    }
  }
});

test('every finding has a page, and the list of them links to each', async () => {
  const list = String(await manual.page('/advice', 'README'));
  for (const name of names('docs/advice').filter((each) => each !== 'README' && each !== 'before-and-after')) {
    assert.ok(list.includes(`href="/advice/${name}"`), name);
    assert.ok(String(await manual.page('/advice', name)).includes('<h2>What to change</h2>'), name);
  }
});

test('the path of a folder has links to all of its pages', async () => {
  for (const [shelf, folder] of [
    ['/runbooks', 'deploy/runbooks'],
    ['/advice', 'docs/advice'],
  ] as const) {
    const html = String(await manual.index(shelf));
    for (const name of names(folder).filter((each) => each !== 'README'))
      assert.ok(html.includes(`href="${shelf}/${name}"`), name);
  }
});

test('a name that is no page has none, whatever path it names', async () => {
  for (const shelf of SHELF_NAMES)
    for (const name of ['', '.', '..', '../../package', '../../README', 'KvmFatalExit.md', 'x'.repeat(10_000), '\0'])
      assert.equal(await manual.page(shelf, name), undefined, name);
});

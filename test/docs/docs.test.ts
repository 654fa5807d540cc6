import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { withGeneratedBlock } from '../../docs/tools/generated-block.js';
import { generatedDocs } from '../../docs/tools/generated-docs.js';
import { plot } from '../../docs/tools/plot.js';
import { ROOT } from '../support/paths.js';

const read = (path: string) => readFileSync(join(ROOT, path), 'utf8');

for (const [path, content] of generatedDocs())
  test(`${path} is up to date (if not: npm run docs)`, () => assert.equal(read(path), content));

test('a page that lost one of its markers is an error', () => {
  const page = read('docs/options.md').replace('<!-- end generated: options -->', '');
  assert.throws(
    () => withGeneratedBlock(page, 'options', 'npm run docs', ''),
    /no block "<!-- begin generated: options/,
  );
});

test('generated blocks stand on pages of their own, not in the README', () => {
  assert.doesNotMatch(read('README.md'), /<!-- begin generated/);
});

test('the README is at most 1,200 words long', () => {
  assert.ok(read('README.md').split(/\s+/).length <= 1200);
});

test('a plot has its points where its axes say', () => {
  const svg = plot('a < b', 'source.json', [
    {
      title: 'x',
      x: { label: 'x', log: true },
      y: { label: 'y' },
      lines: [
        {
          name: 'line',
          points: [
            [10, 0],
            [100, 10],
            [1000, 20],
          ],
        },
      ],
    },
  ]);
  const points = [...svg.matchAll(/<circle class="p0" cx="([\d.]+)" cy="([\d.]+)"/g)].map(([, x, y]) => [
    Number(x),
    Number(y),
  ]);
  const [[firstX = 0, firstY = 0] = [], [secondX = 0, secondY = 0] = [], [thirdX = 0, thirdY = 0] = []] = points;
  // A factor of ten is the same distance everywhere on a logarithmic axis, ten units on a linear one.
  assert.ok(Math.abs(secondX - firstX - (thirdX - secondX)) < 0.2 && thirdX > firstX, svg);
  assert.ok(Math.abs(secondY - firstY - (thirdY - secondY)) < 0.2 && thirdY < firstY, svg);
  assert.match(svg, /<title>a &lt; b<\/title>/);
});

test('a logarithmic axis refuses values that are not above 0', () => {
  const line = { name: 'line', points: [[0, 1] as const] };
  const axis = { label: '', log: true };
  assert.throws(() => plot('', '', [{ title: '', x: axis, y: axis, lines: [line] }]), /above 0/);
});

const SOURCES = readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
  file.endsWith('.ts'),
);

test('docs/architecture.md has a line for every folder of src', () => {
  const page = read('docs/architecture.md');
  const folders = new Set(SOURCES.filter((file) => file.includes('/')).map((file) => dirname(join('src', file))));
  assert.deepEqual(
    [...folders].filter((folder) => !page.includes(`\n| \`${folder}\` | `)),
    [],
  );
});

test('each row of docs/reliability.md names tests that exist, and each test of faults is in a row', () => {
  const rows = read('docs/reliability.md').match(/^\| .* \| .* \| .* \|$/gm) ?? [];
  const named = rows.flatMap((row) => [...(row.split('|').at(-2) ?? '').matchAll(/[a-z][\w-]*(?:\/[\w-]+)+/g)].flat());
  assert.ok(named.length > 100);
  const tests = readdirSync(join(ROOT, 'test'), { recursive: true, encoding: 'utf8' });
  assert.deepEqual(
    named.filter((name) => !tests.includes(name) && !tests.includes(`${name}.test.ts`)),
    [],
  );
  const faults = tests.flatMap((path) => /^(live\/faults\/.*)\.test\.ts$/.exec(path)?.[1] ?? []);
  assert.deepEqual(
    faults.filter((name) => !named.includes(name)),
    [],
  );
});

for (const path of ['docs/architecture.md', 'CONTRIBUTING.md']) {
  const page = read(path);

  test(`functions that ${path} names exist`, () => {
    const code = SOURCES.map((file) => read(join('src', file)));
    const methods = [...page.matchAll(/`([A-Z]\w+)\.(\w+)\(\)`/g)].filter(
      ([, type, method]) =>
        !code.some(
          (text) =>
            new RegExp(`^export (?:class|interface) ${type}\\b`, 'm').test(text) &&
            new RegExp(`^ {2}(?:async )?\\*?${method}\\(`, 'm').test(text),
        ),
    );
    const functions = [...page.matchAll(/`([a-z]\w+)\(\)`/g)].filter(
      ([, name]) => !code.some((text) => new RegExp(`\\bfunction\\*? ${name}\\(`).test(text)),
    );
    assert.deepEqual(
      [...methods, ...functions].map(([name]) => name),
      [],
    );
  });
}

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { pictures } from '../../docs/tools/pictures.js';
import { plot } from '../../docs/tools/plot.js';
import { updated } from '../../docs/tools/readme.js';
import { withSoak } from '../../docs/tools/soak.js';
import { ROOT } from '../support/paths.js';

const README = readFileSync(join(ROOT, 'README.md'), 'utf8');

test('the tables of the README are what the code says (else: npm run docs)', () => {
  assert.equal(README, updated(README));
});

test('a README that lost its markers is noticed', () => {
  assert.throws(
    () => updated(README.replace('<!-- /options -->', '')),
    /no <!-- options --> \.\.\. <!-- \/options -->/,
  );
});

test('the pictures show the figures that lie beside them (else: npm run docs)', () => {
  const folder = join(ROOT, 'docs/bench');
  for (const [name, svg] of pictures(folder)) assert.equal(readFileSync(join(folder, name), 'utf8'), svg, name);
});

test('docs/soak.md has the figures of docs/bench/soak.json (else: npm run docs)', () => {
  const [markdown, json] = ['docs/soak.md', 'docs/bench/soak.json'].map((path) =>
    readFileSync(join(ROOT, path), 'utf8'),
  );
  assert.equal(markdown, withSoak(markdown ?? '', json ?? ''));
});

test('a picture has its points where its axes say', () => {
  const svg = plot('a < b', [
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
  // A factor of ten is the same distance each time, and so are ten units.
  assert.ok(Math.abs(secondX - firstX - (thirdX - secondX)) < 0.2 && thirdX > firstX, svg);
  assert.ok(Math.abs(secondY - firstY - (thirdY - secondY)) < 0.2 && thirdY < firstY, svg);
  assert.match(svg, /<title>a &lt; b<\/title>/);
});

test('a logarithmic axis refuses what has no place on it', () => {
  const line = { name: 'line', points: [[0, 1] as const] };
  const axis = { label: '', log: true };
  assert.throws(() => plot('', [{ title: '', x: axis, y: axis, lines: [line] }]), /above 0/);
});

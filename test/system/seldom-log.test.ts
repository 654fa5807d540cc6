import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SeldomLog } from '../../src/system/seldom-log.js';

test('each kind of line is logged once a minute, with the number of those that were left out', (t) => {
  const lines: string[] = [];
  t.mock.method(process.stderr, 'write', (line: string) => lines.push(line.replace(/^time=\S+ /, '').trim()));
  let seconds = 0;
  const seldom = new SeldomLog(() => seconds * 1000);
  for (; seconds < 150; seconds++) seldom.warn('a', 'happened', { file: 'x' });
  seldom.info('b', 'happened', { file: 'y' });
  assert.deepEqual(lines, [
    'level=warn msg=happened file=x',
    'level=warn msg=happened file=x times=60',
    'level=warn msg=happened file=x times=60',
    'level=info msg=happened file=y',
  ]);
});

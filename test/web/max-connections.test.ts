import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openFileLimit } from '../../src/system/open-file-limit.js';
import { maxConnections } from '../../src/web/max-connections.js';

/** As Linux writes /proc/PID/limits. */
const limits = (soft: string) => `Limit                     Soft Limit           Hard Limit           Units
Max processes             63704                63704                processes
Max open files            ${soft.padEnd(20)} 524288               files
Max locked memory         8388608              8388608              bytes
`;

test('connections may take a quarter of the files that can be open, 512 at most, one at least', () => {
  for (const [soft, most] of [
    ['256', 64],
    ['1024', 256],
    ['524288', 512],
    ['unlimited', 512],
    ['3', 1],
  ] as const)
    assert.equal(maxConnections(openFileLimit(limits(soft))), most, soft);
  assert.equal(maxConnections(openFileLimit('')), 512);
});

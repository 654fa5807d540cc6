/** Which words of a log become values of the label `event`. */
import assert from 'node:assert/strict';
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { temporaryFolder } from '../support/temporary-folder.js';
import { followTraces } from '../support/trace/followed-traces.js';

/** What a file may hold that is no log at all, such as a link to the secrets of another user. */
const LINES = [
  'kvm_run_exit cpu_index 0, reason 2',
  'hunter2_is_my_password x',
  '7@1.5:token_abcdef x',
  '7@1.5:aws_secret',
  'api_key other',
  'virtio_queue_notify vdev 0x1 n 0 vq 0x2',
];

async function eventsOf(t: TestContext, options: { anyEvent?: boolean; traceEvents?: string }): Promise<object> {
  const traces = followTraces(t, {
    log: '*.log',
    ...options,
    before: (folder) => writeFileSync(join(folder, 'a.log'), ''),
  });
  appendFileSync(join(traces.folder, 'a.log'), LINES.map((line) => `${line}\n`).join(''));
  const { qemuEvents } = await traces.until(2);
  return Object.fromEntries([...qemuEvents].map(({ event, count }) => [event, count]));
}

const KNOWN = { kvm_run_exit: 1, virtio_queue_notify: 1 };

test('names that are not known are counted together, so that no secret becomes a label', async (t) => {
  assert.deepEqual(await eventsOf(t, {}), { ...KNOWN, other: 4 });
});

test('with trace-events-all, its names are known too, and lines without a prefix are events only if it has them', async (t) => {
  const traceEvents = join(temporaryFolder(t, 'trace-events'), 'trace-events-all');
  const names = ['kvm_run_exit', 'virtio_queue_notify', 'token_abcdef'];
  writeFileSync(traceEvents, names.map((name) => `${name}(void) ""\n`).join(''));
  assert.deepEqual(await eventsOf(t, { traceEvents }), { ...KNOWN, token_abcdef: 1, other: 1 });
});

test('--qemu.log.any-event counts every event under its name', async (t) => {
  const names = { hunter2_is_my_password: 1, token_abcdef: 1, aws_secret: 1, api_key: 1 };
  assert.deepEqual(await eventsOf(t, { anyEvent: true }), { ...KNOWN, ...names });
});

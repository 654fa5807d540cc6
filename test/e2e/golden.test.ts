/**
 * The exact metrics text for some recordings, so that a review sees every change of a name, label, help text or order.
 * The counts are checked against independent sources in file-recordings.test.ts and page-recordings.test.ts. To accept
 * changes:
 *
 *   UPDATE_GOLDEN=1 node --test build/test/e2e/golden.test.js
 */
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { reportOf, runAgent } from '../support/agent/run-agent.js';
import { ask, WebAgent } from '../support/agent/web-agent.js';
import { endAll } from '../support/end-later.js';
import { fixture, readFixture } from '../support/fixtures.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'golden-'));
after(() => rmSync(FOLDER, { recursive: true }));
afterEach(endAll);

/** Samples that differ from run to run. Their help and type are compared nevertheless. */
const VOLATILE =
  /^(?:process_|nodejs_|kvm_exit_exporter_(?:build_info|scrape_seconds|event_loop_max_(?:stall|work)_seconds|max_resident_memory_bytes|drains_total|drain_seconds_total))/;

function stable(text: string): string {
  return text
    .split('\n')
    .filter((line) => !VOLATILE.test(line))
    .join('\n');
}

function counted(text: string): number {
  return [...text.matchAll(/^qemu_trace_events_total.* (\d+)$/gm)].reduce((sum, [, count]) => sum + Number(count), 0);
}

function golden(name: string, text: string): string {
  const path = fixture(`golden/${name}`);
  if (process.env.UPDATE_GOLDEN === '1') writeFileSync(path, text);
  return readFileSync(path, 'utf8');
}

test('report --format=prometheus of a recording of two VMs', () => {
  const { status, stdout, stderr } = runAgent('report', '--format=prometheus', fixture('svm/two-vms-6.12'));
  assert.equal(status, 0, stderr);
  assert.equal(stable(stdout), golden('two-vms.txt', stable(stdout)));
});

for (const { name, accept, type } of [
  { name: 'scrape.txt', accept: 'text/plain', type: 'text/plain; version=0.0.4; charset=utf-8' },
  {
    name: 'scrape.openmetrics.txt',
    accept: 'application/openmetrics-text;version=1.0.0',
    type: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
  },
])
  test(`a scrape of an agent that has read a QEMU log: ${name}`, async () => {
    const log = join(FOLDER, 'vm-1.log');
    writeFileSync(log, '');
    // A /proc with one process that is no VM, so that no VM of this host is found.
    const procfs = mkdtempSync(join(FOLDER, 'proc-'));
    mkdirSync(join(procfs, '1'));
    // The names of QEMU 7.2, whether this host has a QEMU or not.
    const traceEvents = join(FOLDER, 'trace-events-all');
    writeFileSync(traceEvents, readFixture('qemu-simple/trace-events-all'));
    const files = [`--path.procfs=${procfs}`, `--qemu.log=${log}`, `--qemu.trace-events=${traceEvents}`];
    const agent = await WebAgent.startCommand('run', ['--no-collector.kernel', ...files]);
    const text = readFixture('virtio/kvm-seabios-ioeventfd/log.txt');
    writeFileSync(log, text, { flag: 'a' });
    const scrape = async () => {
      const answer = await ask(`${agent.url}/metrics`, { headers: { accept } });
      assert.ok(typeof answer !== 'string', String(answer));
      assert.deepEqual([answer.status, answer.headers['content-type']], [200, type]);
      return stable(answer.body.toString());
    };
    const events = Object.values(reportOf(log).qemu_events).reduce((sum, count) => sum + count, 0);
    let now = await scrape();
    for (let tries = 0; tries < 600 && counted(now) < events; tries++) {
      await sleep(100);
      now = await scrape();
    }
    assert.equal(now, golden(name, now));
  });

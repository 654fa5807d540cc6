/**
 * Records two VMs that write to their memory while they migrate to a slow target, one after the other: one with a small
 * dirty ring, and one with the ring that the advice prints. They are the recordings of test/fixtures/dirty-ring.
 * Called by hand, as root on a host whose KVM raises kvm_exit: `node record-dirty-ring.js FOLDER`. All events are
 * enabled before the first guest starts, because enabling one while vCPUs run can crash an emulated host.
 */
import assert from 'node:assert/strict';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import { RULES } from '../../../src/advice/rules.js';
import { endAll } from '../../support/end-later.js';
import { QmpClient } from '../../support/guest/qmp-client.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { saveProc } from '../../support/guest/start-recorders.js';
import { PAGES_PER_OUT } from '../../support/guest/steps.js';
import { TextTrace } from '../../support/trace/text-trace.js';
import { COST_EVENTS } from '../../support/trace/trace-costs.js';

/** The smallest ring that QEMU's manual allows. */
const SMALL_RING = '-accel kvm,dirty-ring-size=1024';
const VMS = [
  { name: 'small-ring', change: SMALL_RING },
  { name: 'large-ring', change: RULES.find(({ id }) => id === 'dirty-ring-full')?.changes.qemu ?? '' },
];
const MEMORY_MIB = 160;
/** The guest writes to a block at this address, of this size. The stride makes KVM handle each page by itself. */
const BLOCK = 64 << 20;
const PAGES = BLOCK / 4096;
const STRIDE = 1021;
/** So slow that the migration lasts longer than the recording. */
const BYTES_PER_SECOND = 1_000_000;
const SECONDS = 20;
const BUFFER_KB = 131_072;
const SETTLE_MS = 2000;
/** QEMU 7.2 sometimes aborts at its start: it empties rings that its vCPUs have not created yet. */
const MAX_TRIES = 4;

async function connect(guest: RunningGuest, socket: string): Promise<QmpClient> {
  for (;;) {
    await sleep(500);
    assert.equal(guest.lastWords(), undefined);
    try {
      return await QmpClient.connect(socket);
    } catch {
      // QEMU has not created its socket yet.
    }
  }
}

async function record(trace: TextTrace, folder: string, name: string, change: string): Promise<void> {
  const socket = `/tmp/${name}.qmp`;
  rmSync(socket, { force: true });
  const guest = startGuest({
    name,
    memoryMiB: MEMORY_MIB,
    steps: [{ dirtyPages: BLOCK, pages: PAGES, stride: STRIDE }],
    extraArgs: [...change.split(' '), '-qmp', `unix:${socket},server=on,wait=off`],
  });
  const qmp = await connect(guest, socket);
  // The host has then allocated all pages.
  while (guest.writesDone() < (2 * PAGES) / PAGES_PER_OUT) {
    assert.equal(guest.lastWords(), undefined);
    await sleep(100);
  }
  await qmp.execute('migrate-set-parameters', { 'max-bandwidth': BYTES_PER_SECOND });
  await qmp.execute('migrate', { uri: 'exec:cat > /dev/null' });
  await sleep(SETTLE_MS);
  saveProc(guest.pid, join(folder, 'proc'));
  trace.start();
  await sleep(SECONDS * 1000);
  trace.stop();
  assert.equal((await qmp.execute('query-migrate')).status, 'active');
  qmp.close();
  await guest.kill();
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'trace.txt.gz'), gzipSync(trace.text(), { level: 9 }));
}

const [, , target = '.'] = process.argv;
const trace = new TextTrace(COST_EVENTS, BUFFER_KB);
for (const { name, change } of VMS)
  for (let tries = 1; ; tries++)
    try {
      await record(trace, join(target, name), name, change);
      break;
    } catch (error) {
      console.log(name, error);
      if (tries === MAX_TRIES) throw error;
    } finally {
      await endAll();
    }
trace.close();

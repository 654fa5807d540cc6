/**
 * KVM's own statistics in debugfs that begin again: they are set to 0, as `kvm_stat` can, or belong to a new VM of the
 * same process. The files are the test's own, because the kernel's lockdown may close those of debugfs.
 */
import assert from 'node:assert/strict';
import { mkdirSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { liveTest } from '../../support/guest/live-test.js';
import { startGuest } from '../../support/guest/start-guest.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

afterEach(endAll);

const KVM_DEBUGFS = '/sys/kernel/debug/kvm';
/** Two readings of the agent. */
const PATIENCE_MS = 30_000;

test(
  'statistics in debugfs that begin again, or belong to a new VM: the total grows by them',
  liveTest('unshare'),
  async (t) => {
    const root = temporaryFolder(t, 'debugfs');
    writeFileSync(join(root, 'exits'), '0\n');
    const script = `mount --bind ${root} ${KVM_DEBUGFS} && exec "$@"`;
    const agent = await startAgent({ prefix: ['unshare', '--mount', 'sh', '-c', script, 'sh'] });
    const guest = startGuest({ name: 'again', steps: [{ forever: { out: 0x80 } }] });
    const folder = join(root, `${guest.pid}-11`);
    mkdirSync(folder);
    const shown: number[] = [];
    let isRunning = true;
    const exits = { vm: 'again', stat: 'exits' };
    const scrapes = (async () => {
      for (; isRunning; await sleep(500)) shown.push((await agent.scrape()).sum('kvm_stat_total', exits));
    })();
    const assertTotal = async (value: number, total: number) => {
      writeFileSync(join(folder, 'exits'), `${value}\n`);
      await agent.scrapeUntil(`${total}`, (now) => now.sum('kvm_stat_total', exits) === total, PATIENCE_MS);
    };
    await assertTotal(50_000, 50_000);
    await assertTotal(400, 50_400);
    await assertTotal(900, 50_900);
    // A VM that the process created after it had closed its first one has a folder of the same name.
    renameSync(folder, join(root, 'closed'));
    mkdirSync(folder);
    await assertTotal(70_000, 120_900);
    await assertTotal(71_000, 121_900);
    isRunning = false;
    await scrapes;
    assert.deepEqual(
      shown,
      shown.toSorted((a, b) => a - b),
      'the counter never falls',
    );
    await guest.kill();
    await agent.stop();
  },
);

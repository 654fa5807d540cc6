/** VMs that each live for some milliseconds: every exit is counted once, and series and memory are bounded. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { liveTest, numberFromEnvironment } from '../../support/guest/live-test.js';
import { prepareSmallVmm, startSmallVmm } from '../../support/guest/start-small-vmm.js';
import type { Samples } from '../../support/prometheus/samples.js';
import { TotalOverScrapes } from '../../support/prometheus/total-over-scrapes.js';

const VMS = numberFromEnvironment('FAULTS_SHORT_VMS', 500);
const AT_A_TIME = 4;
/** Exits of a VM. Neighbours differ, so that none stands for another. */
const exitsOf = (index: number) => 50 + (index % 100);
/** No other guest of this host writes to this port. */
const PORT = 0x9b;
/** Stopped VMs whose series are kept for the grace period (docs/options.md, --vm.grace-period). */
const MAX_KEPT = 256;
/** The series of more VMs are kept for ten seconds, until their events are counted, and until a search of /proc. */
const KEPT_MS = 10_000 + 1000 + 2000;
const MAX_BYTES = 250e6;

afterEach(endAll);

const residentBytes = (pid: number | undefined) =>
  Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) * 1024;

test(`${VMS} VMs that live for milliseconds`, { ...liveTest(), timeout: 3_600_000 }, async (t) => {
  prepareSmallVmm();
  const agent = await startAgent();
  const total = new TotalOverScrapes('kvm_io_exits_total', { address: `0x${PORT.toString(16)}` });
  let [started, counted, shown] = [0, 0, 0];
  const work = async () => {
    while (started < VMS) {
      const index = started++;
      await startSmallVmm(`short-${index}`, { exits: exitsOf(index), port: PORT }).finished();
    }
  };
  const shownIn = (samples: Samples) =>
    samples.of('kvm_vm_info').filter(({ labels }) => labels.get('vm')?.startsWith('short-')).length;
  const scrape = async () => {
    const samples = await agent.scrape();
    counted = total.add(samples);
    shown = Math.max(shown, shownIn(samples));
    return samples;
  };
  let isRunning = true;
  const scrapes = (async () => {
    for (; isRunning; await sleep(500)) await scrape();
  })();
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  isRunning = false;
  await scrapes;
  const expected = Array.from({ length: VMS }, (_, index) => exitsOf(index)).reduce((sum, exits) => sum + exits);
  for (let waits = 0; counted < expected && waits < 60; waits++) {
    await sleep(500);
    await scrape();
  }
  const samples = await scrape();
  const bytes = residentBytes(agent.process.pid);
  const unnamed = samples.sum('kvm_io_exits_total', { vm: '', address: `0x${PORT.toString(16)}` });
  const size = `${Math.round(bytes / 1e6)} MB, ${samples.all.length} series`;
  t.diagnostic(`${unnamed} of ${counted} exits without a name, ${shown} VMs shown at most, ${size}`);
  assert.equal(counted, expected);
  assert.equal(samples.sum('kvm_exit_exporter_lost_events_total'), 0);
  assert.equal(samples.sum('kvm_exit_exporter_malformed_total'), 0);
  assert.ok(bytes < MAX_BYTES, `${bytes} bytes`);
  await sleep(KEPT_MS);
  const kept = shownIn(await agent.scrape());
  assert.ok(kept > 0 && kept <= MAX_KEPT, `${kept} VMs have series`);
  await agent.stop();
});

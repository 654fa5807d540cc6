/**
 * What small ring buffers lose: `node build/test/bench/small-buffers.js [seconds] [MiB ...]` as root, on a host without
 * other VMs.
 *
 * Two guests write to ports as fast as they can, while an agent reads buffers of one size after the other, with all of
 * its collectors. Prints how many events per second there were and how many were lost, at the start of the guests and
 * after it; `in a buffer` is how long a CPU takes to fill its buffer at this rate.
 */
import { readFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { type RunningAgent, startAgent, TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';

const SIZES = [1, 2, 4, 8, 16];
/** The agent's code is compiled meanwhile. */
const WARM_UP_MS = 10_000;
const MIB = 1 << 20;
const LOOK_MS = 500;

interface Counts {
  readonly events: number;
  readonly lost: number;
  readonly atMs: number;
}

async function countsOf(agent: RunningAgent): Promise<Counts> {
  const samples = await agent.scrape();
  return {
    events: samples.sum('kvm_exit_exporter_events_total'),
    lost: samples.sum('kvm_exit_exporter_lost_events_total'),
    atMs: performance.now(),
  };
}

/** Bytes of an event in a buffer, from the buffers' own statistics at several moments. */
async function bytesPerEvent(instance: string, ms: number): Promise<number> {
  let [entries, bytes] = [0, 0];
  for (const endMs = performance.now() + ms; performance.now() < endMs; await sleep(LOOK_MS))
    for (const stats of statisticsOf(instance)) {
      entries += Number(/^entries: (\d+)$/m.exec(stats)?.[1]);
      bytes += Number(/^bytes: (\d+)$/m.exec(stats)?.[1]);
    }
  return bytes / entries;
}

function statisticsOf(instance: string): string[] {
  const folder = join(TRACEFS, 'instances', instance, 'per_cpu');
  return Array.from(cpus(), (_, cpu) => readFileSync(join(folder, `cpu${cpu}`, 'stats'), 'latin1'));
}

async function measure(mib: number, ms: number): Promise<void> {
  const agent = await startAgent({ args: [`--tracefs.buffer-size=${mib}MiB`] });
  await sleep(1000);
  const guests = ['small-a', 'small-b'].map((name) => startGuest({ name, steps: [{ forever: { out: 0x80 } }] }));
  await sleep(WARM_UP_MS);
  const before = await countsOf(agent);
  const bytes = await bytesPerEvent(agent.instance, ms);
  const after = await countsOf(agent);
  for (const guest of guests) await guest.kill();
  await agent.stop();
  const perSecond = (1000 * (after.events - before.events)) / (after.atMs - before.atMs);
  const fillMs = (1000 * mib * MIB * cpus().length) / (perSecond * bytes);
  console.log(
    `${mib} MiB: ${Math.round(perSecond)} events/s, ${before.lost} lost at the start, ${after.lost - before.lost} after it; ` +
      `${bytes.toFixed(0)} bytes each, ${fillMs.toFixed(0)} ms in a buffer`,
  );
}

const [seconds = 30, ...sizes] = process.argv.slice(2).map(Number);
try {
  for (const mib of sizes.length > 0 ? sizes : SIZES) await measure(mib, seconds * 1000);
} finally {
  await endAll();
}

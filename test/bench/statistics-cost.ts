/**
 * What reading KVM's own statistics costs guests: `node build/test/bench/statistics-cost.js [pairs] [seconds]` as root.
 *
 * A guest exits to QEMU as fast as it can. Half of the time an agent that does not trace reads its statistics over QMP.
 * Times with and without alternate, because the speed of a machine changes. Prints medians of the ratios, with their
 * ranges; 1 means that the guest is as fast as without the agent:
 *
 *   of the exits per second            also less if the guest has to share its host CPU with the agent
 *   of the exits per second of CPU     without that
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';

/** Port writes per second of time, and per second that QEMU's threads ran. */
async function ratesOf(guest: RunningGuest, ms: number): Promise<readonly [perSecond: number, perCpuSecond: number]> {
  const [startMs, startCpu, start] = [performance.now(), cpuSeconds(guest.pid), guest.writesDone()];
  await sleep(ms);
  const writes = guest.writesDone() - start;
  return [(writes / (performance.now() - startMs)) * 1000, writes / (cpuSeconds(guest.pid) - startCpu)];
}

/** Time that the threads of a process ran: the first number of schedstat, in nanoseconds. */
function cpuSeconds(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.reduce(
    (sum, tid) => sum + Number.parseInt(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8'), 10) / 1e9,
    0,
  );
}

async function measure(pairs: number, ms: number): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'statistics-cost-'));
  const guest = startGuest({
    name: 'measured',
    steps: [{ forever: { out: 0x80 } }],
    extraArgs: ['-qmp', `unix:${folder}/guest.sock,server=on,wait=off`],
  });
  const agent = await startAgent({ args: ['--no-collector.kernel', `--qemu.qmp=${folder}/*.sock`] });
  await agent.scrapeUntil('statistics', (now) => now.sum('kvm_stat_total', { vm: 'measured' }) > 0, 30_000);
  const [ratios, cpuRatios]: [number[], number[]] = [[], []];
  for (let pair = 0; pair < pairs; pair++) {
    agent.process.kill('SIGSTOP');
    const [without, withoutCpu] = await ratesOf(guest, ms);
    agent.process.kill('SIGCONT');
    const [withAgent, withAgentCpu] = await ratesOf(guest, ms);
    ratios.push(withAgent / without);
    cpuRatios.push(withAgentCpu / withoutCpu);
    console.error(`pair ${pair + 1}: ${without.toFixed(0)} ${withAgent.toFixed(0)} exits/s`);
  }
  print('of the exits per second', ratios);
  print('of the exits per second of CPU', cpuRatios);
  await agent.stop();
  await guest.kill();
  rmSync(folder, { recursive: true });
}

function print(what: string, ratios: readonly number[]): void {
  const sorted = ratios.toSorted((a, b) => a - b).map((ratio) => ratio.toFixed(4));
  console.log(`${what.padEnd(32)} ${median([...ratios]).toFixed(4)} (${sorted[0]} to ${sorted.at(-1)})`);
}

const [pairs = '10', seconds = '10'] = process.argv.slice(2);
try {
  await measure(Number(pairs), Number(seconds) * 1000);
} finally {
  await endAll();
}

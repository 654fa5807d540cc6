/**
 * What sampling leaves of tracing's cost: `node build/test/bench/sampling-cost.js [rounds] [seconds] [NAME ...]` as
 * root, on a host without other VMs.
 *
 * Two guests exit to KVM as fast as they can, to a device that KVM has itself (the timer at port 0x43), and count these
 * exits in their memory. In each round every tool takes its turn: so many seconds without it, then with it. The seconds
 * should be a multiple of the period, 60 s; one round then takes a quarter of an hour. `of untraced` is the rate with
 * the tool by the mean of the rates right before and after it; the results are medians of the rounds, with the lowest
 * and the highest. NAMEs choose tools.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';

/** A port of the timer that KVM emulates: the exit does not reach QEMU. */
const PORT = 0x43;
/** Time for a tool to start, and for an agent's first, shorter period. */
const SETTLE_MS = 5000;
const EVENTS = ['kvm_exit', 'kvm_entry', 'kvm_pio', 'kvm_userspace_exit'];

interface RunningTool {
  stop(): Promise<void>;
}

type StartTool = () => Promise<RunningTool>;

const agent =
  (...args: readonly string[]): StartTool =>
  () =>
    startAgent({ args });

const program =
  (command: string, ...args: readonly string[]): StartTool =>
  async () => {
    const child = spawn(command, args, { stdio: 'ignore' });
    await once(child, 'spawn');
    endLater(() => end(child));
    return { stop: () => end(child) };
  };

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGINT');
  await ended;
}

const perfEvents = EVENTS.flatMap((event) => ['-e', `kvm:${event}`]);
const probes = EVENTS.map((event) => `tracepoint:kvm:${event} { @[probe] = count(); }`).join(' ');

const TOOLS: ReadonlyMap<string, StartTool> = new Map([
  ['off', agent('--sampling=off')],
  ['2s/60s', agent('--sampling=2s/60s')],
  ['auto', agent('--sampling=auto')],
  ['perf stat', program('perf', 'stat', '-a', ...perfEvents)],
  ['bpftrace', program('bpftrace', '-e', probes)],
  ['perf record', program('perf', 'record', '-a', '-o', '/dev/null', ...perfEvents)],
]);

/** Exits per second of all guests, for so long. */
async function rateOf(guests: readonly RunningGuest[], ms: number): Promise<number> {
  const exits = () => guests.map((guest) => guest.writesDone());
  const [before, startMs] = [exits(), performance.now()];
  await sleep(ms);
  // The guests' counters have 32 bits.
  const more = exits().map((after, index) => (after - (before[index] ?? after) + 2 ** 32) % 2 ** 32);
  return (more.reduce((sum, each) => sum + each, 0) * 1000) / (performance.now() - startMs);
}

async function measure(rounds: number, ms: number, names: readonly string[]): Promise<Map<string, number[]>> {
  const guests = ['bench-a', 'bench-b'].map((name) => startGuest({ name, steps: [{ forever: { out: PORT } }] }));
  await sleep(1000);
  const ratios = new Map<string, number[]>();
  let before = await rateOf(guests, ms);
  for (let round = 1; round <= rounds; round++)
    for (const name of names) {
      let tool: RunningTool;
      try {
        tool = await (TOOLS.get(name) as StartTool)();
      } catch (error) {
        if (round === 1) console.log(`${name} does not work here: ${error instanceof Error ? error.message : error}`);
        continue;
      }
      await sleep(SETTLE_MS);
      const traced = await rateOf(guests, ms);
      await tool.stop();
      const after = await rateOf(guests, ms);
      const ratio = traced / ((before + after) / 2);
      before = after;
      ratios.set(name, [...(ratios.get(name) ?? []), ratio]);
      console.error(`round ${round}: ${name} ${ratio.toFixed(4)} of ${Math.round(after)} exits/s`);
    }
  return ratios;
}

const [rounds = '1', seconds = '60', ...names] = process.argv.slice(2);
try {
  const ratios = await measure(Number(rounds), Number(seconds) * 1000, names.length > 0 ? names : [...TOOLS.keys()]);
  console.log('| watched by | of untraced |\n|---|---|');
  const percent = (ratio: number) => `${(100 * ratio).toFixed(2)} %`;
  for (const [name, own] of ratios)
    console.log(`| ${name} | ${percent(median(own))} (${percent(Math.min(...own))} to ${percent(Math.max(...own))}) |`);
} finally {
  await endAll();
}

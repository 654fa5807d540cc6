/**
 * What sampling leaves of tracing's cost: `node build/test/bench/sampling-cost.js [rounds] [seconds]` as root, on a
 * host without other VMs.
 *
 * Two guests exit to KVM as fast as they can, to a device that KVM has itself (the timer at port 0x43), and count these
 * exits in their memory. Tools that do the same all the time take turns, each attached and detached in alternate
 * seconds. Then each agent that samples watches for so many rounds of so many seconds, which should be a multiple of
 * the period, 60 s (see tools/sampling-agent.ts). `of untraced`: exits compared with those without the tool, the median
 * of the rounds, with the lowest and the highest.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll, endLater } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import { median } from '../support/median.js';
import { type Attachable, attachable, measureSlowdown } from './tools/measure.js';
import { withInstance } from './tools/other-tools.js';
import { measureSampling, type SampledRound } from './tools/sampling-agent.js';

/** A port of the timer that KVM emulates: the exit does not reach QEMU. */
const PORT = 0x43;
const TURNS_PER_ROUND = 2;
const EVENTS = ['kvm_exit', 'kvm_entry', 'kvm_pio', 'kvm_userspace_exit'];
/** How long a program may take to end before it is asked again. */
const ASK_AGAIN_MS = 5_000;
const PLANS = ['2s/60s', 'auto'];

function program(command: string, ...args: readonly string[]): Attachable {
  let child: ChildProcess;
  const detach = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    // bpftrace has missed a signal once, and did not end.
    const again = setInterval(() => child.kill('SIGINT'), ASK_AGAIN_MS);
    child.kill('SIGINT');
    await ended;
    clearInterval(again);
  };
  return {
    async attach() {
      child = spawn(command, args, { stdio: 'ignore' });
      await once(child, 'spawn');
      endLater(detach);
      // It needs time to switch its events on.
      await sleep(1000);
    },
    detach,
  };
}

async function agentAlways(): Promise<Attachable> {
  const agent = await startAgent({ args: ['--sampling=off'] });
  await sleep(5000);
  const tracing = attachable(agent.instance, agent.process.pid);
  await tracing.detach();
  return tracing;
}

const perfEvents = EVENTS.flatMap((event) => ['-e', `kvm:${event}`]);
const probes = EVENTS.map((event) => `tracepoint:kvm:${event} { @[probe] = count(); }`).join(' ');

async function compareSteady(guests: readonly RunningGuest[], rounds: number, unread: Attachable): Promise<void> {
  await unread.detach();
  const tools: readonly (readonly [string, Attachable])[] = [
    ['this agent, `--sampling=off`', await agentAlways()],
    ["the kernel's buffers, unread", unread],
    ['perf stat', program('perf', 'stat', '-a', ...perfEvents)],
    ['bpftrace', program('bpftrace', '-e', probes)],
    ['perf record', program('perf', 'record', '-a', '-o', '/dev/null', ...perfEvents)],
  ];
  const ratios = new Map<string, number[]>(tools.map(([name]) => [name, []]));
  for (let round = 1; round <= rounds; round++)
    for (const [name, tool] of tools) {
      const { exitsPerSecond, untraced } = await measureSlowdown({ guests }, tool, TURNS_PER_ROUND);
      ratios.get(name)?.push(exitsPerSecond / untraced);
      console.error(`round ${round}: ${name} ${(exitsPerSecond / untraced).toFixed(4)} of ${Math.round(untraced)}/s`);
    }
  for (const [name, own] of ratios) console.log(`| ${name} | ${shares(own)} | | |`);
}

/** A round may have no window, if the period is longer: it has the mean then. */
function printPlan(plan: string, rounds: readonly SampledRound[]): void {
  const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  const ofWindows = rounds.map(({ inWindows }) => inWindows).filter((ratio) => !Number.isNaN(ratio));
  const windows = mean(rounds.map((round) => round.windows));
  const whole = rounds.map(({ inWindows, betweenWindows }) => {
    const ratio = Number.isNaN(inWindows) ? mean(ofWindows) : inWindows;
    return windows * ratio + (1 - windows) * betweenWindows;
  });
  const between = rounds.map(({ betweenWindows }) => betweenWindows);
  const cells = [`this agent, \`--sampling=${plan}\``, shares(whole), shares(ofWindows), shares(between)];
  console.log(`| ${cells.join(' | ')} |\n`.trimEnd());
  console.error(`${plan}: ${percent(windows)} of the time in windows`);
}

function shares(ratios: readonly number[]): string {
  return `${percent(median(ratios))} (${percent(Math.min(...ratios))} to ${percent(Math.max(...ratios))})`;
}

function percent(ratio: number): string {
  return `${(100 * ratio).toFixed(2)} %`;
}

const [rounds = '1', seconds = '60'] = process.argv.slice(2);
try {
  const guests = ['bench-a', 'bench-b'].map((name) => startGuest({ name, steps: [{ forever: { out: PORT } }] }));
  await sleep(1000);
  console.log('| watched by | of untraced | in windows | between windows |\n|---|---|---|---|');
  await withInstance(EVENTS, (name) => compareSteady(guests, Number(rounds), attachable(name)));
  for (const plan of PLANS) {
    const args = [`--sampling=${plan}`];
    printPlan(plan, await measureSampling(guests, args, Number(rounds), Number(seconds) * 1000));
  }
} finally {
  await endAll();
}

/**
 * CPU time of `top` in a terminal, and the time from typing `stat 1s` to its answer. On a host, `top` is the agent too:
 * its cost without events, and with 10,000 exits per second.
 *
 *   node build/test/bench/top-cost.js [SECONDS [WARM_UP_SECONDS]]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';

import { startFakeAgent } from '../support/agent/fake-agent.js';
import { TRACEFS } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Step } from '../support/guest/steps.js';
import { MAIN } from '../support/paths.js';
import { isAvailable } from '../support/requirements.js';
import { Tmux } from '../support/tmux.js';

const seconds = Number(process.argv[2] ?? 30);
/** V8 compiles the program several times meanwhile. */
const warmUpSeconds = Number(process.argv[3] ?? 60);
const INSTANCE = 'kvm-exit-exporter-bench-top';

/** CPU seconds of the `top` whose arguments hold a text; the kernel counts in ticks of 10 ms (proc(5)). */
function cpuSecondsOf(text: string): number {
  const pid = readdirSync('/proc').find((name) => {
    if (!/^\d+$/.test(name)) return false;
    const args = argumentsOf(name);
    return args.startsWith('kvm-exit-exporter top ') && args.includes(text);
  });
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function argumentsOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8');
  } catch {
    return '';
  }
}

/** Events that were read from the buffers of the instance, as the kernel counts them. */
function eventsRead(): number {
  const cpus = `${TRACEFS}/instances/${INSTANCE}/per_cpu`;
  const counts = readdirSync(cpus).map((cpu) => {
    const [, read] = /^read events: (\d+)$/m.exec(readFileSync(`${cpus}/${cpu}/stats`, 'utf8')) ?? [];
    return Number(read);
  });
  return counts.reduce((sum, count) => sum + count, 0);
}

async function secondsToAnswer(): Promise<number> {
  const startMs = performance.now();
  const stat = spawn(process.execPath, [MAIN, 'stat', '1s', '--tracefs.instance=kvm-exit-exporter-bench-stat']);
  const ended = once(stat, 'close');
  await once(stat.stdout, 'data');
  const tookMs = performance.now() - startMs;
  await ended;
  return tookMs / 1000;
}

/** Runs `top`, and prints its cost as a part of a CPU. */
async function costOfTop(name: string, argument: string, shown: RegExp, events?: () => number): Promise<void> {
  const tmux = new Tmux(160, 50);
  // With the flags of this program: --cpu-prof shows what `top` does.
  tmux.line([process.execPath, ...process.execArgv, MAIN, 'top', argument].join(' '));
  await tmux.until(shown, 60_000);
  await sleep(warmUpSeconds * 1000);
  const [before, eventsBefore, startMs] = [cpuSecondsOf(argument), events?.() ?? 0, performance.now()];
  await sleep(seconds * 1000);
  const took = (performance.now() - startMs) / 1000;
  const part = (cpuSecondsOf(argument) - before) / took;
  const eventsPerSecond = ((events?.() ?? 0) - eventsBefore) / took;
  const about = events === undefined ? '' : `, ${eventsPerSecond.toFixed(0)} events/s`;
  console.log(`top, ${name}: ${(part * 100).toFixed(2)} % of a CPU${about}`);
  tmux.press('q');
  await tmux.until(/READY\s*$/, 60_000);
}

async function withGuests(count: number, steps: readonly Step[], work: () => Promise<void>): Promise<void> {
  const guests: RunningGuest[] = [];
  for (let index = 0; index < count; index++) guests.push(startGuest({ name: `bench-${index}`, steps }));
  await sleep(5000);
  await work();
  await Promise.all(guests.map((guest) => guest.kill()));
}

const { url } = await startFakeAgent();
await costOfTop('100 VMs of an agent', `--url=${url}`, /^VM [\s\S]*KVM_EXIT_IO/m);
if (isAvailable('root') && isAvailable('kvm-events') && isAvailable('qemu')) {
  const argument = `--tracefs.instance=${INSTANCE}`;
  for (const vms of [20, 100]) {
    await withGuests(vms, [{ halt: true }], () =>
      costOfTop(`${vms} halted VMs of this host`, argument, /^bench-/m, eventsRead),
    );
    // 10,000 writes per second together.
    const writing: Step = { bursts: { out: 0x80, times: 10, everyMs: vms } };
    await withGuests(vms, [writing], async () => {
      await costOfTop(`${vms} VMs of this host, 10,000 exits/s`, argument, /^VM [\s\S]*KVM_EXIT_IO/m, eventsRead);
      if (vms === 20) {
        const times: number[] = [];
        while (times.length < 5) times.push(await secondsToAnswer());
        console.log(`stat 1s, ${vms} VMs: ${times.map((time) => time.toFixed(2)).join(', ')} s until the answer`);
      }
    });
  }
}
await endAll();

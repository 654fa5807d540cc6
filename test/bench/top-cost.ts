/**
 * CPU time of `top` in a terminal, and the time from typing `stat 1s` to its answer.
 *
 *   node build/test/bench/top-cost.js [SECONDS]
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { startFakeAgent } from '../support/agent/fake-agent.js';
import { endAll } from '../support/end-later.js';
import { startGuest } from '../support/guest/start-guest.js';
import { MAIN } from '../support/paths.js';
import { isAvailable } from '../support/requirements.js';
import { Tmux } from '../support/tmux.js';

const seconds = Number(process.argv[2] ?? 30);
const VMS = 20;

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

async function secondsToAnswer(): Promise<number> {
  const startMs = performance.now();
  const stat = spawn(process.execPath, [MAIN, 'stat', '1s', '--tracefs.instance=kvm-exit-exporter-bench-stat']);
  const ended = once(stat, 'close');
  await once(stat.stdout, 'data');
  const tookMs = performance.now() - startMs;
  await ended;
  return tookMs / 1000;
}

async function costOfTop(name: string, argument: string): Promise<void> {
  const tmux = new Tmux(160, 50);
  tmux.line(`${process.execPath} ${MAIN} top ${argument}`);
  await tmux.until(/^VM [\s\S]*KVM_EXIT_IO/m);
  await sleep(3000);
  const [before, startMs] = [cpuSecondsOf(argument), performance.now()];
  await sleep(seconds * 1000);
  const part = (cpuSecondsOf(argument) - before) / ((performance.now() - startMs) / 1000);
  console.log(`top, ${name}: ${(part * 100).toFixed(2)} % of a CPU`);
}

const { url } = await startFakeAgent();
await costOfTop('100 VMs of an agent', `--url=${url}`);
if (isAvailable('root') && isAvailable('kvm-events') && isAvailable('qemu')) {
  for (let index = 0; index < VMS; index++)
    startGuest({ name: `bench-${index}`, steps: [{ bursts: { out: 0x80, times: 10, everyMs: 20 } }] });
  await sleep(5000);
  await costOfTop(`${VMS} VMs of this host, 10,000 exits/s`, '--tracefs.instance=kvm-exit-exporter-bench-top');
  const times: number[] = [];
  while (times.length < 5) times.push(await secondsToAnswer());
  console.log(`stat 1s, ${VMS} VMs: ${times.map((time) => time.toFixed(2)).join(', ')} s until the answer`);
}
await endAll();

/** Judges what was counted against what the guests did, by their own counters and by construction. */
import type { Samples } from '../support/prometheus/samples.js';
import type { Verdict } from './judge.js';
import { RESTARTED, type RestartedVm } from './restarted-vm.js';
import type { Written } from './rotated-logs.js';
import { LINES_PER_SECOND } from './rotated-logs.js';
import { countsOf, EXITS, type ShortLivedVms } from './short-lived-vms.js';

/** Share of short-lived VMs that may lack a name although the kernel shows no delay of the agent. */
const MAX_UNNAMED_SHARE = 0.01;

/** The VMs, and their own counts. */
export interface Guests {
  readonly longLived: { readonly name: string; readonly writes: number };
  readonly restarted: RestartedVm;
  readonly shortLived: ShortLivedVms;
}

/** The guest counts a write after its exit, so it may have been killed in between. */
const isExact = (exits: number, writes: number) => exits === writes || exits === writes + 1;

/** True once an agent has counted all exits of the two VMs that stay. */
export function hasAll(samples: Samples, { longLived, restarted }: Guests): boolean {
  return countsOf(samples, longLived.name)[0] >= longLived.writes && countsOf(samples, RESTARTED)[0] >= restarted.exits;
}

/** @param agent words that tell the agents apart */
export function judgeAgent(agent: string, samples: Samples, { longLived, restarted }: Guests): Verdict[] {
  const lost = samples.sum('kvm_exit_exporter_lost_events_total');
  const [exits] = countsOf(samples, longLived.name);
  const [restartedExits] = countsOf(samples, RESTARTED);
  return [
    { criterion: `no event is lost${agent}`, holds: lost === 0, figures: `${lost} lost` },
    {
      criterion: `the VM that runs all the time is counted exactly${agent}`,
      holds: isExact(exits, longLived.writes),
      figures: `${longLived.writes} port writes, ${exits} exits counted`,
    },
    {
      criterion: `a VM that is restarted under its name is counted exactly${agent}`,
      holds: restartedExits === restarted.exits,
      figures: `${restartedExits} of ${restarted.exits} exits in ${restarted.lives} lives`,
    },
  ];
}

export function judgeRestarts({ decreases, lives }: RestartedVm, samples: Samples): Verdict {
  const series = samples.of('kvm_vm_info').filter(({ labels }) => labels.get('vm')?.startsWith(RESTARTED)).length;
  return {
    criterion: 'its series go on: its counter never decreases, and it has no second name',
    holds: decreases === 0 && series === 1,
    figures: `${decreases} decreases, ${series} name in ${lives} lives`,
  };
}

export function judgeShortLived({ started, exact, unnamed, delayed, wrong }: ShortLivedVms): Verdict {
  return {
    criterion: "the short-lived VMs are counted exactly, in the kernel's trace and in their logs",
    holds: wrong.length === 0 && unnamed - delayed <= started * MAX_UNNAMED_SHARE,
    figures: [
      `${exact.length} of ${started}, ${unnamed} without a name`,
      `${delayed} of these while the agent waited for a CPU`,
      ...wrong,
    ].join('; '),
  };
}

/** Compares the totals of every VM that the agent has counted exactly. */
export function judgeOtlp(name: string, received: ReadonlyMap<string, number>, guests: Guests): Verdict {
  const { longLived, restarted, shortLived } = guests;
  const wrong = [
    ...shortLived.exact.filter((vm) => received.get(vm) !== EXITS),
    ...(received.get(RESTARTED) === restarted.exits ? [] : [RESTARTED]),
    ...(isExact(received.get(longLived.name) ?? 0, longLived.writes) ? [] : [longLived.name]),
  ];
  const own = shortLived.exact.length * EXITS + restarted.exits + longLived.writes;
  const vms = [...shortLived.exact, RESTARTED, longLived.name];
  const sum = vms.reduce((total, vm) => total + (received.get(vm) ?? 0), 0);
  return {
    criterion: 'the totals that arrive over OTLP are those of the guests',
    holds: wrong.length === 0,
    figures: [
      `${own} exits of ${vms.length} VMs, ${sum} received by ${name}`,
      ...wrong.slice(0, 3).map((vm) => `${vm}: ${received.get(vm)}`),
    ].join('; '),
  };
}

/** @param delayedSeconds for which the agent waited for a CPU; it cannot read a log meanwhile */
export function judgeLogs(samples: Samples, renamed: Written, truncated: Written, delayedSeconds: number): Verdict[] {
  const lines = (log: string) => countsOf(samples, log)[1];
  // Lines that are written between the agent's last read and a truncation are gone.
  const lost = truncated.lines - lines('truncated');
  const allowed = LINES_PER_SECOND * (truncated.rotations / 2 + delayedSeconds);
  return [
    {
      criterion: 'a log rotated by renaming is counted exactly',
      holds: lines('renamed') === renamed.lines,
      figures: `${lines('renamed')} of ${renamed.lines} lines, ${renamed.rotations} renames`,
    },
    {
      criterion:
        'a log rotated by truncating loses at most half a second of lines each time, and no line is counted twice',
      holds: lost >= 0 && lost <= allowed,
      figures: [
        `${lost} of ${truncated.lines} lines lost, ${truncated.rotations} truncations`,
        `the agent waited ${delayedSeconds.toFixed(1)} s for a CPU`,
      ].join('; '),
    },
  ];
}

import { advise, type Finding } from '../../advice/advise.js';
import type { Observed } from '../../advice/vm-sums.js';
import { whoChanges } from '../../advice/who-changes.js';
import { workloadsOf } from '../../advice/workload.js';
import { printable } from '../../system/printable.js';
import type { Ranking } from './ranking.js';
import type { Recorded } from './recorded.js';
import { known, moreRows, percent, rate, vmCell } from './text-table.js';

/** Findings need rates; undefined for a recording without times. */
export function findingsOf(recorded: Recorded): Finding[] | undefined {
  const { seconds } = recorded.time;
  if (seconds === undefined || seconds <= 0) return undefined;
  const { newer, older } = observed(recorded);
  return advise(workloadsOf(newer, older, seconds), seconds, recorded.disabledAdvice);
}

/** The snapshot is that of the period alone; what it has of KVM's statistics is not, and is replaced. */
function observed({ snapshot, statistics = [] }: Recorded): { newer: Observed; older: Observed } {
  const grown = statistics.filter(({ isTime }) => isTime);
  const statSeconds = grown.map(({ growth: value, seconds, ...row }) => ({ ...row, value, readMs: seconds * 1000 }));
  return {
    newer: { ...snapshot, statSeconds },
    older: { ...NOTHING, statSeconds: statSeconds.map((row) => ({ ...row, value: 0, readMs: 0 })) },
  };
}

const NOTHING: Observed = {
  exits: [],
  causes: [],
  io: [],
  durations: [],
  eventfds: [],
  vcpuTimes: [],
  statSeconds: [],
  vms: [],
  msrs: [],
  pageFaults: [],
  apicvInhibits: [],
};

/**
 *   What to change
 *
 *   vm-ide: The guest drives an emulated disk controller: 2,090/s, mainly port 0x1f0 (ide1). Costs 62.0 % of a vCPU.
 *     The disk is attached to IDE, SATA or another controller that QEMU emulates register by register.
 *     guest    Install the virtio drivers first ...
 *     QEMU     -drive file=DISK,if=none,id=disk0 -device virtio-blk-pci,drive=disk0
 *     more     docs/advice/emulated-disk.md
 */
export function findingsText(recorded: Recorded, ranking: Ranking): string[] {
  const findings = findingsOf(recorded) ?? [];
  if (findings.length === 0) return [];
  const { shown, hidden } = ranking.select(findings, () => 0);
  return [`What to change\n\n${shown.map(findingText).join('\n')}${moreRows(hidden)}`];
}

/** The first line of a finding: its VM, its figures and its cost. */
export function findingHead({ vm, rule, load }: Pick<Finding, 'vm' | 'rule' | 'load'>): string {
  const seen = load.kind === 'time' ? `${percent(load.perVcpuSecond)} of a vCPU's time` : `${rate(load.perSecond)}/s`;
  const cost = known(load.cost, (part) => ` Costs ${percent(part)} of a vCPU.`, '');
  return `${vmCell(vm)}: ${rule.title}: ${seen}, mainly ${load.mainly}.${cost}`;
}

function findingText({ vm, rule, load, changes }: Finding): string {
  const boot = rule.isBoot === true ? ' It ends when the guest has booted.' : '';
  const head = `${findingHead({ vm, rule, load })}${boot}`;
  const lines = whoChanges(changes).map(([who, what]) => `  ${who.padEnd(8)} ${what}`);
  return `${[head, `  ${rule.cause}`, ...lines, `  more     docs/advice/${rule.id}.md`].map((line) => printable(line)).join('\n')}\n`;
}

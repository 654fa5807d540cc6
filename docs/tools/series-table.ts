import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { CATALOGUE } from '../../src/snapshot/catalogue.js';
import { PROGRAM, PROGRAM_ARGS, ROOT } from '../../test/support/paths.js';
import { markdownTable } from './markdown-table.js';

const RECORDING = join(ROOT, 'deploy/demo/recording');
const FILES = ['trace_pipe.txt.gz', 'web-1.log.gz', 'legacy-db.log.gz'].map((file) => join(RECORDING, file));
const OF_VM = /^(\w+)\{(?:[^}]*,)?vm="web-1"/gm;
const HISTOGRAMS = CATALOGUE.filter(({ type }) => type === 'histogram').map(({ name }) => name);

/** Kinds of series, and the metrics that belong to each. */
const KINDS: readonly (readonly [kind: string, metrics: readonly string[]])[] = [
  ['exits, by vCPU, layer and reason', ['kvm_exits_total']],
  ['durations, by layer and reason', ['kvm_exit_duration_seconds']],
  ['time of each vCPU, by state', ['kvm_vcpu_seconds_total']],
  ['ports and MMIO pages (`--collector.io.addresses`)', ['kvm_io_exits_total']],
  ['MSRs and CPUID leaves (`--collector.indices`)', ['kvm_msr_exits_total', 'kvm_cpuid_exits_total']],
];

/** The table of docs/metrics.md: the series of one VM of the demonstration, by kind. */
export function seriesTable(): string {
  const args = ['report', '--format=prometheus', `--path.procfs=${join(RECORDING, 'proc')}`, ...FILES];
  const { stdout } = spawnSync(PROGRAM, [...PROGRAM_ARGS, ...args], { encoding: 'utf8', maxBuffer: 1 << 28 });
  const names = Array.from(stdout.matchAll(OF_VM), ([, name = '']) => name);
  const rows = KINDS.map(([kind, metrics]) => [kind, ...countsOf(names.filter((name) => isOneOf(name, metrics)))]);
  const listed = KINDS.flatMap(([, metrics]) => metrics);
  const rest = names.filter((name) => !isOneOf(name, listed));
  return markdownTable(
    ['series', 'classic histograms', 'native histograms'],
    [
      ...rows,
      ["causes, eventfds, QEMU's events, unpaired exits, the VM itself", ...countsOf(rest)],
      ['all', ...countsOf(names)],
    ],
  );
}

function isOneOf(name: string, metrics: readonly string[]): boolean {
  return metrics.some((metric) => name === metric || name.replace(/_(?:bucket|sum|count)$/, '') === metric);
}

/** A native histogram is one series, a classic one has a series for each edge, its sum and its count. */
function countsOf(names: readonly string[]): [classic: string, native: string] {
  const parts = HISTOGRAMS.flatMap((name) => [`${name}_bucket`, `${name}_sum`]);
  return [String(names.length), String(names.filter((name) => !parts.includes(name)).length)];
}

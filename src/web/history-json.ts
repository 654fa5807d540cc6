import type { BusiestSeries } from '../history/busiest-series.js';
import type { History } from '../history/history.js';
import type { Series } from '../history/steps.js';
import type { Figure, VmHistory } from '../history/vm-history.js';
import type { NamedPoints, OverviewHistory, Points, VmHistoryAnswer } from './page/history-answer.js';

/** Steps that one point of the overview is the mean of. */
const STEPS_PER_POINT = 3;
const OTHER = 'other';

/** The answer of /api/history, as JSON. */
export function overviewHistoryJson({ steps, vms }: History): string {
  const groups: number[][] = [];
  for (const position of steps.recent()) {
    // By position, so that a mean is of the same steps each time.
    const latest = groups.at(-1);
    if (latest === undefined || position % STEPS_PER_POINT === 0) groups.push([position]);
    else latest.push(position);
  }
  const mean = (series: Series, positions: readonly number[]) => {
    const known = positions.map((position) => series[position] as number).filter((value) => !Number.isNaN(value));
    return known.length === 0 ? Number.NaN : known.reduce((sum, value) => sum + value, 0) / known.length;
  };
  const points = (series: Series) => groups.map((group) => toJson(mean(series, group)));
  const answer: OverviewHistory = {
    seconds_ago: secondsAgo(
      steps,
      groups.map((group) => group.at(-1) ?? 0),
    ),
    vms: Array.from(vms, ([vm, { history }]) => ({
      vm,
      kvm: points(history.figures.kvm),
      qemu: points(history.figures.qemu),
    })),
  };
  return JSON.stringify(answer);
}

/** The answer of /api/history?name=NAME, as JSON. The VM may have no history. */
export function vmHistoryJson({ steps, vms }: History, vm: string): string {
  const history = vms.get(vm)?.history;
  const positions = history === undefined ? [] : steps.recent();
  const points = (series: Series): Points => positions.map((position) => toJson(series[position] as number));
  const figures = (names: Readonly<Record<string, Figure>>): NamedPoints[] =>
    Object.entries(names)
      .map(([name, figure]) => ({ name, values: history === undefined ? [] : points(history.figures[figure]) }))
      .filter(({ values }) => values.some((value) => value !== null));
  const busiest = (choose: (history: VmHistory) => BusiestSeries): NamedPoints[] => {
    if (history === undefined) return [];
    const series = choose(history);
    const rest = points(series.rest);
    return [
      ...series.named(steps.position).map(({ name, values }) => ({ name, values: points(values) })),
      ...(rest.some((value) => value !== null && value > 0) ? [{ name: OTHER, values: rest }] : []),
    ];
  };
  const answer: VmHistoryAnswer = {
    vm,
    seconds_ago: secondsAgo(steps, positions),
    exits: figures({ 'to KVM': 'kvm', 'to QEMU': 'qemu' }),
    time_shares: figures({
      guest: 'time_guest',
      KVM: 'time_kvm',
      QEMU: 'time_qemu',
      ready: 'time_ready',
      idle: 'time_idle',
      unknown: 'time_unknown',
    }),
    kvm_reasons: busiest(({ reasons }) => reasons.kvm),
    qemu_reasons: busiest(({ reasons }) => reasons.qemu),
    devices: busiest(({ devices }) => devices),
    durations: figures({ 'KVM p50': 'kvm_p50', 'KVM p99': 'kvm_p99', 'QEMU p50': 'qemu_p50', 'QEMU p99': 'qemu_p99' }),
    vcpus: busiest(({ vcpus }) => vcpus).map(({ name, values }) => ({ name: vcpuName(name), values })),
    missing: missingReason(history, positions.length),
  };
  return JSON.stringify(answer);
}

function missingReason(history: VmHistory | undefined, steps: number): string | null {
  if (history === undefined) return 'The memory for histories is full: this VM has none.';
  return steps === 0 ? 'The first figures follow in a few seconds.' : null;
}

function vcpuName(name: string): string {
  if (name === OTHER) return name;
  return name === '' ? 'vCPU not known' : `vCPU ${name}`;
}

function secondsAgo(steps: History['steps'], positions: readonly number[]): number[] {
  const latestMs = steps.timeOf(steps.position);
  return positions.map((position) => Number(((latestMs - steps.timeOf(position)) / 1000).toFixed(1)));
}

/** Four digits are enough for a chart. */
function toJson(value: number): number | null {
  return Number.isNaN(value) ? null : Number(value.toPrecision(4));
}

import { type AuditRow, auditVm, type TracedLayers } from './audit.js';
import { AUDITED_STATISTICS } from './checks.js';
import { type ExitSums, sumExits } from './exit-sums.js';
import { creatorOf, type Moment, type Reading } from './readings.js';

/** A check of a recording. KVM's figure lies between two bounds, because reading the statistics takes time. */
export interface RecordedCheck extends AuditRow {
  readonly vm: string;
  /** The lower bound; `kvm` is the upper one. */
  readonly kvmAtLeast: number;
}

/** What was counted in a recording. */
export interface CountedExits {
  readonly exits: Iterable<{ vm: string; layer: string; reason: string; count: number }>;
  readonly traced: TracedLayers;
  /** True if events are known to be missing. */
  readonly hasLost: boolean;
}

const NOTHING: ExitSums = sumExits([{ vm: '', layer: 'kvm', reason: '', count: 0 }]).get('') as ExitSums;

/**
 * Holds the exits of a recording against the statistics saved with it: a row for each VM and check.
 * @param vmOf label of the VM that a thread created; undefined if it is not known
 */
export function auditRecording(
  counted: CountedExits,
  readings: readonly Reading[],
  vmOf: (tid: number) => string | undefined,
): RecordedCheck[] {
  const growths = [...byFolder(readings).values()].flatMap((moments) => {
    const [any] = moments.values();
    const vm = any === undefined ? undefined : vmOf(creatorOf(any));
    const growth = growthOf(moments);
    return vm === undefined || growth === undefined ? [] : [{ vm, ...growth }];
  });
  return auditPeriod(counted, growths);
}

/** How much the statistics of a VM grew in the time of our counts, by name. */
export interface GrowthBounds {
  readonly vm: string;
  readonly atLeast: ReadonlyMap<string, number>;
  readonly atMost: ReadonlyMap<string, number>;
}

/** The same with statistics that were read around the two moments between which we counted. */
export function auditPeriod(
  { exits, traced, hasLost }: CountedExits,
  growths: readonly GrowthBounds[],
): RecordedCheck[] {
  const sums = sumExits(exits);
  return growths.flatMap(({ vm, atLeast, atMost }) => {
    const own = sums.get(vm) ?? NOTHING;
    const low = auditVm(own, atLeast, traced);
    return auditVm(own, atMost, traced).map((row, index) => withBounds(vm, low[index] as AuditRow, row, hasLost));
  });
}

function byFolder(readings: readonly Reading[]): Map<string, Map<Moment, Reading>> {
  const folders = new Map<string, Map<Moment, Reading>>();
  for (const reading of readings) {
    const moments = folders.get(reading.folder) ?? new Map<Moment, Reading>();
    folders.set(reading.folder, moments.set(reading.when, reading));
  }
  return folders;
}

type Values = ReadonlyMap<string, number>;

/** How much each statistic grew; undefined if the VM ended before the recording did. */
function growthOf(moments: ReadonlyMap<Moment, Reading>): { atLeast: Values; atMost: Values } | undefined {
  const end = moments.get('end')?.values;
  if (end === undefined) return undefined;
  // A VM without a reading at the start was not there yet.
  const start = moments.get('start')?.values ?? new Map<string, number>();
  const started = moments.get('started')?.values ?? start;
  const stopping = moments.get('stopping')?.values ?? end;
  return { atLeast: differences(started, stopping), atMost: differences(start, end) };
}

function differences(before: Values, after: Values): Values {
  const names = [...after.keys()].filter((name) => AUDITED_STATISTICS.has(name));
  return new Map(names.map((name) => [name, Math.max(0, (after.get(name) ?? 0) - (before.get(name) ?? 0))]));
}

function withBounds(vm: string, low: AuditRow, high: AuditRow, hasLost: boolean): RecordedCheck {
  const obstacle = high.obstacle === '' && hasLost ? 'events were lost' : high.obstacle;
  const isInside = high.ours >= low.kvm && high.ours <= high.kvm && high.kvm > 0;
  const ratio = isInside ? 1 : high.ours < low.kvm ? low.ratio : high.ratio;
  return { ...high, vm, kvmAtLeast: low.kvm, obstacle, ratio: obstacle === '' ? ratio : Number.NaN };
}

/**
 * Answers of QEMU to the commands about statistics (qapi/stats.json, QEMU 7.1 and later):
 *
 *   query-stats-schemas
 *     [{"provider": "kvm", "target": "vcpu", "stats": [{"name": "exits", "type": "cumulative", "exponent": 0},
 *       {"name": "halt_wait_ns", "type": "cumulative", "unit": "seconds", "base": 10, "exponent": -9},
 *       {"name": "halt_wait_hist", "type": "log2-histogram", "unit": "seconds", "base": 10, "exponent": -9}]}]
 *   query-stats {"target": "vcpu"}
 *     [{"provider": "kvm", "qom-path": "/machine/unattached/device[0]", "stats": [{"name": "exits", "value": 4171},
 *       {"name": "guest_mode", "value": false}, {"name": "halt_wait_hist", "value": [32 counters]}]}, ...]
 *   query-cpus-fast
 *     [{"cpu-index": 0, "qom-path": "/machine/unattached/device[0]", "thread-id": 13649, ...}, ...]
 *
 * QEMU's names are the kernel's, so they are taken from the schema. An answer may come from any process that listens on
 * the socket: what does not look like the above is left out.
 */
import {
  HISTOGRAM_LENGTH,
  isStatisticName,
  type KvmStatistic,
  type StatisticValue,
} from '../../trace/kvm-statistic.js';

export type StatisticsTarget = 'vm' | 'vcpu';

/** Name -> how to read its value. */
export type TargetSchema = ReadonlyMap<string, SchemaEntry>;

interface SchemaEntry {
  readonly statistic: KvmStatistic;
  /** Factor that turns a value into seconds, or into pieces. */
  readonly scale: number;
}

/** Statistics of one target; KVM has about 60 on x86 and 110 on s390. */
const MAX_STATISTICS = 512;
const MAX_VCPUS = 4096;

const KINDS: ReadonlyMap<string, KvmStatistic['kind']> = new Map([
  ['cumulative', 'total'],
  ['instant', 'current'],
  ['peak', 'current'],
  ['log2-histogram', 'histogram'],
]);

/** @param isWanted true for the names of the statistics to read */
export function parseSchemas(
  answer: unknown,
  isWanted: (name: string) => boolean,
): Map<StatisticsTarget, TargetSchema> {
  const targets = new Map<StatisticsTarget, TargetSchema>();
  for (const schema of kvmObjects(answer)) {
    const target = Reflect.get(schema, 'target');
    if (target !== 'vm' && target !== 'vcpu') continue;
    const entries = new Map<string, SchemaEntry>();
    for (const stat of objects(Reflect.get(schema, 'stats'))) {
      const entry = parseEntry(stat);
      if (entry !== undefined && isWanted(entry.statistic.name) && entries.size < MAX_STATISTICS)
        entries.set(entry.statistic.name, entry);
    }
    targets.set(target, entries);
  }
  return targets;
}

export interface PartValues {
  /** Path of the vCPU in QEMU's tree of objects; '' for the VM. */
  readonly path: string;
  readonly values: readonly StatisticValue[];
}

/** The values of each vCPU, or of the VM. */
export function parseStats(answer: unknown, schema: TargetSchema): PartValues[] {
  return kvmObjects(answer)
    .slice(0, MAX_VCPUS)
    .map((part) => ({
      path: textOf(part, 'qom-path'),
      values: objects(Reflect.get(part, 'stats'))
        .slice(0, MAX_STATISTICS)
        .flatMap((stat): StatisticValue[] => {
          const entry = schema.get(textOf(stat, 'name'));
          const value = entry === undefined ? undefined : readValue(entry, Reflect.get(stat, 'value'));
          return entry === undefined || value === undefined ? [] : [[entry.statistic, value]];
        }),
    }));
}

export interface QemuCpu {
  readonly index: number;
  /** Thread id in QEMU's own pid namespace. */
  readonly tid: number;
}

/** Path of each vCPU -> its number and thread. */
export function parseCpus(answer: unknown): Map<string, QemuCpu> {
  const cpus = new Map<string, QemuCpu>();
  for (const cpu of objects(answer).slice(0, MAX_VCPUS)) {
    const index: unknown = Reflect.get(cpu, 'cpu-index');
    const tid: unknown = Reflect.get(cpu, 'thread-id');
    if (isCount(index) && index < MAX_VCPUS && isCount(tid)) cpus.set(textOf(cpu, 'qom-path'), { index, tid });
  }
  return cpus;
}

function parseEntry(stat: object): SchemaEntry | undefined {
  const name: unknown = Reflect.get(stat, 'name');
  const kind = KINDS.get(textOf(stat, 'type'));
  const isTime = textOf(stat, 'unit') === 'seconds';
  const exponent: unknown = Reflect.get(stat, 'exponent');
  const base: unknown = Reflect.get(stat, 'base') ?? 10;
  if (!isStatisticName(name) || kind === undefined) return undefined;
  if ((base !== 10 && base !== 2) || typeof exponent !== 'number' || !(Math.abs(exponent) <= 60)) return undefined;
  const scale = base ** exponent;
  if (kind !== 'histogram') return { statistic: { name, kind, isTime, length: 1 }, scale };
  // The only histograms that KVM has are of nanoseconds.
  if (!isTime || base !== 10 || exponent !== -9) return undefined;
  return { statistic: { name, kind, isTime, length: HISTOGRAM_LENGTH }, scale: 1 };
}

function readValue({ statistic, scale }: SchemaEntry, value: unknown): number | readonly number[] | undefined {
  if (statistic.kind !== 'histogram')
    return typeof value === 'boolean' ? Number(value) : isCount(value) ? value * scale : undefined;
  if (!Array.isArray(value) || value.length !== HISTOGRAM_LENGTH) return undefined;
  return value.every(isCount) ? value : undefined;
}

/** True for a number that an unsigned counter of 64 bits can have. */
function isCount(value: unknown): value is number {
  return typeof value === 'number' && value >= 0 && value < 2 ** 64;
}

function kvmObjects(answer: unknown): object[] {
  return objects(answer).filter((each) => Reflect.get(each, 'provider') === 'kvm');
}

function objects(value: unknown): object[] {
  if (!Array.isArray(value)) return [];
  return value.filter((each): each is object => typeof each === 'object' && each !== null);
}

function textOf(value: object, key: string): string {
  const text: unknown = Reflect.get(value, key);
  return typeof text === 'string' ? text : '';
}

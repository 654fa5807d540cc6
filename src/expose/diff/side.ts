import type { IoCount } from '../../snapshot/tables/io.js';
import { type ReasonCount, reasonCounts } from '../report/reason-table.js';
import { perSecond, type Recorded } from '../report/recorded.js';

/** Events that show accesses to ports and MMIO pages. */
const IO_EVENTS = ['kvm_pio', 'kvm_mmio', 'kvm_fast_mmio'];

/** One of the two recordings that are compared, with its rows by VM and key. */
export class Side {
  /** True if accesses to ports and MMIO pages were recorded. */
  readonly showsIo: boolean;
  readonly #recorded: Recorded;
  readonly #hasRates: boolean;
  readonly #reasons: Rows<ReasonCount>;
  readonly #io: Rows<IoCount>;
  /** Mean duration by VM, layer and reason. */
  readonly #seconds: ReadonlyMap<string, number>;
  /** Number of accesses by VM. */
  readonly #accesses = new Map<string, number>();

  /** @param hasRates true to give rates, false to give shares */
  constructor(recorded: Recorded, hasRates: boolean) {
    const { durations, io, tracepoints } = recorded.snapshot;
    this.#recorded = recorded;
    this.#hasRates = hasRates;
    this.showsIo = io.length > 0 || tracepoints.some(({ name }) => IO_EVENTS.includes(name));
    this.#reasons = rowsByVm(reasonCounts(recorded), reasonKey);
    this.#io = rowsByVm(io, ioKey);
    this.#seconds = new Map(durations.map((row) => [`${row.vm}\0${reasonKey(row)}`, row.sumSeconds / row.count]));
    for (const { vm, count } of io) this.#accesses.set(vm, (this.#accesses.get(vm) ?? 0) + count);
  }

  reasonsOf(vm: string): ReadonlyMap<string, ReasonCount> {
    return this.#reasons.get(vm) ?? new Map();
  }

  ioOf(vm: string): ReadonlyMap<string, IoCount> {
    return this.#io.get(vm) ?? new Map();
  }

  /** How often a VM exits for a reason: 0 if it never does. */
  oftenByReason(vm: string, key: string): number | undefined {
    const row = this.reasonsOf(vm).get(key);
    return this.#hasRates ? perSecond(row?.count ?? 0, this.#recorded.time) : (row?.share ?? 0);
  }

  oftenByAddress(vm: string, key: string): number | undefined {
    const count = this.ioOf(vm).get(key)?.count ?? 0;
    return this.#hasRates ? perSecond(count, this.#recorded.time) : count / (this.#accesses.get(vm) || 1);
  }

  /** Mean time of an exit; undefined if none was paired with its entry. */
  secondsPerExit(vm: string, key: string): number | undefined {
    return this.#seconds.get(`${vm}\0${key}`);
  }
}

type Rows<Row> = ReadonlyMap<string, ReadonlyMap<string, Row>>;

export function reasonKey({ layer, reason }: { readonly layer: string; readonly reason: string }): string {
  return `${layer}\0${reason}`;
}

export function ioKey({ layer, bus, direction, address }: IoCount): string {
  return [layer, bus, direction, address].join('\0');
}

function rowsByVm<Row extends { readonly vm: string }>(rows: Iterable<Row>, keyOf: (row: Row) => string): Rows<Row> {
  const vms = new Map<string, Map<string, Row>>();
  for (const row of rows) {
    const ofVm = vms.get(row.vm) ?? new Map<string, Row>();
    ofVm.set(keyOf(row), row);
    vms.set(row.vm, ofVm);
  }
  return vms;
}

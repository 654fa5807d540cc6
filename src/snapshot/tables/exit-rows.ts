import { addCount } from '../../count/counters/counters.js';
import type { Layer } from './layer.js';
import type { Rows, RowsInColumns, VmRow } from './row-table.js';

export interface ExitCount extends VmRow {
  /** '' if the vCPU is not known. */
  readonly vcpu: string;
  readonly layer: Layer;
  readonly reason: string;
  readonly count: number;
}

type VcpuLabels = Pick<ExitCount, 'vm' | 'vcpu'>;

const LAYERS: readonly Layer[] = ['kvm', 'qemu'];
const INITIAL_SIZE = 256;

/**
 * The rows of kvm_exits_total. A large host has hundreds of thousands of them, so they are kept as columns of numbers,
 * 16 bytes a row, and each row object is made when it is read. As objects they would take 64 bytes each and live long
 * enough to reach V8's old generation, where they would stay until its next collection, many scrapes later.
 */
export class ExitRows implements Rows<ExitCount>, RowsInColumns<ExitCount> {
  readonly #vcpus: readonly VcpuLabels[];
  readonly #reasons: readonly string[];
  readonly #columns: ExitColumns;

  /**
   * @param vcpus labels by the index given to {@link ExitColumns.add}
   * @param reasons labels by the id given to {@link ExitColumns.add}
   */
  constructor(vcpus: readonly VcpuLabels[], reasons: readonly string[], columns: ExitColumns) {
    this.#vcpus = vcpus;
    this.#reasons = reasons;
    this.#columns = columns;
  }

  get length(): number {
    return this.#columns.length;
  }

  get inColumns(): RowsInColumns<ExitCount> {
    return this;
  }

  *[Symbol.iterator](): Generator<ExitCount, void, undefined> {
    const { length } = this.#columns;
    for (let i = 0; i < length; i++) yield this.#row(i);
  }

  map<T>(toValue: (row: ExitCount) => T): T[] {
    return Array.from(this, toValue);
  }

  filter(keep: (row: ExitCount) => boolean): ExitCount[] {
    const rows: ExitCount[] = [];
    for (const row of this) if (keep(row)) rows.push(row);
    return rows;
  }

  sizes(): Map<string, number> {
    const { length, vcpus } = this.#columns;
    const rows = new Uint32Array(this.#vcpus.length);
    for (let i = 0; i < length; i++) rows[vcpus[i] as number] = (rows[vcpus[i] as number] as number) + 1;
    const sizes = new Map<string, number>();
    for (const [index, count] of rows.entries()) if (count > 0) addCount(sizes, this.#vmOf(index), count);
    return sizes;
  }

  *ofVms(isChosen: (vm: string) => boolean): Generator<ExitCount, void, undefined> {
    const { length, vcpus } = this.#columns;
    const chosen = this.#vcpus.map(({ vm }) => isChosen(vm));
    for (let i = 0; i < length; i++) if (chosen[vcpus[i] as number] === true) yield this.#row(i);
  }

  /** The first row of each layer and reason of a VM; more than that if the VM's rows are not together. */
  *ofEachOther(): Generator<ExitCount, void, undefined> {
    const { length, vcpus, kinds } = this.#columns;
    const seen = new Set<number>();
    let vm: string | undefined;
    for (let i = 0; i < length; i++) {
      const own = this.#vmOf(vcpus[i] as number);
      if (own !== vm) seen.clear();
      vm = own;
      if (seen.has(kinds[i] as number)) continue;
      seen.add(kinds[i] as number);
      yield this.#row(i);
    }
  }

  keep(isWhole: (vm: string) => boolean, isKept: (row: ExitCount) => boolean): ExitRows {
    const { length, vcpus } = this.#columns;
    const whole = this.#vcpus.map(({ vm }) => isWhole(vm));
    const kept = new ExitColumns();
    for (let i = 0; i < length; i++)
      if (whole[vcpus[i] as number] === true || isKept(this.#row(i))) kept.addFrom(this.#columns, i);
    return new ExitRows(this.#vcpus, this.#reasons, kept);
  }

  followedBy(rows: readonly ExitCount[]): ExitRows {
    if (rows.length === 0) return this;
    const [labels, reasons, columns] = [[...this.#vcpus], [...this.#reasons], new ExitColumns()];
    for (let i = 0; i < this.length; i++) columns.addFrom(this.#columns, i);
    const ids = new Map(reasons.map((reason, id) => [reason, id]));
    for (const { vm, vcpu, layer, reason, count } of rows) {
      const id = ids.get(reason) ?? reasons.push(reason) - 1;
      ids.set(reason, id);
      columns.add(labels.push({ vm, vcpu }) - 1, layer, id, count);
    }
    return new ExitRows(labels, reasons, columns);
  }

  relabelled(replace: (label: string) => string): ExitRows {
    const vcpus = this.#vcpus.map((labels) => {
      const [vm, vcpu] = [replace(labels.vm), replace(labels.vcpu)];
      return vm === labels.vm && vcpu === labels.vcpu ? labels : { vm, vcpu };
    });
    return new ExitRows(vcpus, this.#reasons.map(replace), this.#columns);
  }

  #row(i: number): ExitCount {
    const { vcpus, kinds, counts } = this.#columns;
    const { vm, vcpu } = this.#vcpus[vcpus[i] as number] as VcpuLabels;
    const kind = kinds[i] as number;
    const layer = LAYERS[kind & 1] as Layer;
    return { vm, vcpu, layer, reason: this.#reasons[kind >> 1] as string, count: counts[i] as number };
  }

  #vmOf(vcpu: number): string {
    return (this.#vcpus[vcpu] as VcpuLabels).vm;
  }
}

/** The figures of {@link ExitRows}. */
export class ExitColumns {
  length = 0;
  /** Index of the vCPU. */
  vcpus = new Uint32Array(INITIAL_SIZE);
  /** Twice the id of the reason, plus 1 for layer `qemu`. */
  kinds = new Uint32Array(INITIAL_SIZE);
  counts = new Float64Array(INITIAL_SIZE);

  add(vcpu: number, layer: Layer, reason: number, count: number): void {
    this.#add(vcpu, reason * 2 + LAYERS.indexOf(layer), count);
  }

  /** Adds a row of other columns. */
  addFrom({ vcpus, kinds, counts }: ExitColumns, row: number): void {
    this.#add(vcpus[row] as number, kinds[row] as number, counts[row] as number);
  }

  #add(vcpu: number, kind: number, count: number): void {
    if (this.length === this.counts.length) this.#grow();
    this.vcpus[this.length] = vcpu;
    this.kinds[this.length] = kind;
    this.counts[this.length] = count;
    this.length++;
  }

  #grow(): void {
    const { vcpus, kinds, counts } = this;
    this.vcpus = new Uint32Array(this.length * 2);
    this.kinds = new Uint32Array(this.length * 2);
    this.counts = new Float64Array(this.length * 2);
    this.vcpus.set(vcpus);
    this.kinds.set(kinds);
    this.counts.set(counts);
  }
}

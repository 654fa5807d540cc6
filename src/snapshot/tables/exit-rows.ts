import type { Layer } from './layer.js';
import type { Rows, VmRow } from './row-table.js';

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
export class ExitRows implements Rows<ExitCount> {
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

  *[Symbol.iterator](): Generator<ExitCount, void, undefined> {
    const { length, vcpus, kinds, counts } = this.#columns;
    for (let i = 0; i < length; i++) {
      const { vm, vcpu } = this.#vcpus[vcpus[i] as number] as VcpuLabels;
      const kind = kinds[i] as number;
      const layer = LAYERS[kind & 1] as Layer;
      yield { vm, vcpu, layer, reason: this.#reasons[kind >> 1] as string, count: counts[i] as number };
    }
  }

  map<T>(toValue: (row: ExitCount) => T): T[] {
    return Array.from(this, toValue);
  }

  filter(keep: (row: ExitCount) => boolean): ExitCount[] {
    const rows: ExitCount[] = [];
    for (const row of this) if (keep(row)) rows.push(row);
    return rows;
  }

  /** The same rows with each label of the columns vm, vcpu and reason replaced. */
  relabelled(replace: (label: string) => string): ExitRows {
    const vcpus = this.#vcpus.map((labels) => {
      const [vm, vcpu] = [replace(labels.vm), replace(labels.vcpu)];
      return vm === labels.vm && vcpu === labels.vcpu ? labels : { vm, vcpu };
    });
    return new ExitRows(vcpus, this.#reasons.map(replace), this.#columns);
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
    if (this.length === this.counts.length) this.#grow();
    this.vcpus[this.length] = vcpu;
    this.kinds[this.length] = reason * 2 + LAYERS.indexOf(layer);
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

/**
 * The rows of kvm_exits_total, of which a large host has hundreds of thousands: kept in numbers, 14 bytes each, and made when they are read.
 * As objects they would be 64 bytes each, and old before they are thrown away, so that they would stay for many scrapes.
 */
import type { ExitCount, Layer, Rows } from './snapshot.js';

type Labels = Pick<ExitCount, 'vm' | 'vcpu'>;

const LAYERS: readonly Layer[] = ['kvm', 'qemu'];
const FIRST_SIZE = 256;

export class ExitRows implements Rows<ExitCount> {
  /** The vCPUs, one after the other, and all reasons by id. */
  readonly #vcpus: readonly Labels[];
  readonly #reasons: readonly string[];
  readonly #columns: Columns;

  constructor(vcpus: readonly Labels[], reasons: readonly string[], columns: Columns) {
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
      const { vm, vcpu } = this.#vcpus[vcpus[i] as number] as Labels;
      const kind = kinds[i] as number;
      const layer = LAYERS[kind & 1] as Layer;
      yield { vm, vcpu, layer, reason: this.#reasons[kind >> 1] as string, count: counts[i] as number };
    }
  }

  map<T>(of: (row: ExitCount) => T): T[] {
    return Array.from(this, of);
  }

  filter(keep: (row: ExitCount) => boolean): ExitCount[] {
    const kept: ExitCount[] = [];
    for (const row of this) if (keep(row)) kept.push(row);
    return kept;
  }

  /** The same with other labels. */
  relabelled(text: (label: string) => string): ExitRows {
    const vcpus = this.#vcpus.map((labels) => {
      const [vm, vcpu] = [text(labels.vm), text(labels.vcpu)];
      return vm === labels.vm && vcpu === labels.vcpu ? labels : { vm, vcpu };
    });
    return new ExitRows(vcpus, this.#reasons.map(text), this.#columns);
  }
}

/** Numbers of many rows. */
export class Columns {
  length = 0;
  vcpus = new Uint32Array(FIRST_SIZE);
  /** Twice the reason's id, and 1 for layer qemu. */
  kinds = new Uint32Array(FIRST_SIZE);
  counts = new Float64Array(FIRST_SIZE);

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

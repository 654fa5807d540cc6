import type { HrTime } from '@opentelemetry/api';
import type { HistogramSample } from '../../snapshot/metric.js';

export type Total = number | HistogramSample[1];

export interface TotalAt {
  readonly total: Total;
  readonly at: HrTime;
}

/** What the receiver of differences knows of a series. */
export interface DeltaState {
  /** The total that it has acknowledged. */
  acknowledged: TotalAt | undefined;
  /** The total that was sent, and that it has neither acknowledged nor refused. */
  unanswered: TotalAt | undefined;
}

export interface SeriesState {
  /** Time from which the series counts. */
  readonly start: HrTime;
  /** Undefined if the receiver gets totals. */
  readonly delta: DeltaState | undefined;
}

/** The series of one VM, or of another value of the first label. */
interface Group {
  /** Key of the other labels -> index in the columns. */
  readonly indices: Map<string, number>;
  /** Number of the VM's series at the latest collection: another one if they were dropped and began again. */
  life: number;
}

const INITIAL_SIZE = 16;
/**
 * Keys that are remembered so that the VMs can share them, but not more than there are series: those of exits are a few
 * hundred, while a process id in a key is that of one VM.
 */
const MAX_SHARED_KEYS = 4096;

/**
 * The series of one metric with their start times. A large host has 200,000 series, so they are kept as columns, which
 * take 70 bytes a series. With an object and a key of its own, each took 180.
 *
 * A series that the latest complete collection did not contain starts at the time of that collection: everything in its
 * value was counted after it. A series starts again if its value fell, or if its VM's series were dropped and began
 * again. A series that a complete collection does not contain is forgotten.
 */
export class SeriesStates {
  readonly #isDelta: boolean;
  /** First label -> its series. */
  readonly #groups = new Map<string, Group>();
  readonly #sharedKeys = new Map<string, string>();
  /** The columns: start, value at the latest collection, number of that collection, and what the receiver knows. */
  readonly #starts: HrTime[] = [];
  #values = new Float64Array(INITIAL_SIZE);
  #rounds = new Uint32Array(INITIAL_SIZE);
  readonly #deltas: DeltaState[] = [];
  /** Indices without a series. */
  readonly #free: number[] = [];
  #round = 0;
  /** Series that the collection has contained so far. */
  #collected = 0;
  /** Time of the latest complete collection. */
  #previous: HrTime;

  constructor(start: HrTime, isDelta: boolean) {
    this.#previous = start;
    this.#isDelta = isDelta;
  }

  beginCollection(): void {
    this.#round++;
    this.#collected = 0;
  }

  /** @param life number of the series of the VM, the first label; 0 if the series belongs to no known VM */
  update(labels: readonly string[], value: number, life: number): SeriesState {
    const group = this.#groupOf(labels[0] ?? '', life);
    const key = labels.slice(1).join('\0');
    const index = group.indices.get(key) ?? this.#add(group, key);
    if (value < (this.#values[index] as number)) this.#begin(index);
    this.#values[index] = value;
    if (this.#rounds[index] !== this.#round) this.#collected++;
    this.#rounds[index] = this.#round;
    return { start: this.#starts[index] as HrTime, delta: this.#deltas[index] };
  }

  /** True if the receiver has not answered all that was sent. */
  get isUnanswered(): boolean {
    return this.#deltas.some(({ unanswered }) => unanswered !== undefined);
  }

  /** Call it when all series were updated. Forgets those that the collection did not contain. */
  endCollection(now: HrTime): void {
    this.#previous = now;
    if (this.#collected < this.#size) this.#forgetOthers();
  }

  /** Number of series. */
  get #size(): number {
    return this.#starts.length - this.#free.length;
  }

  #groupOf(name: string, life: number): Group {
    const group = this.#groups.get(name) ?? { indices: new Map<string, number>(), life: 0 };
    this.#groups.set(name, group);
    if (life === 0 || life === group.life) return group;
    if (group.life !== 0) for (const index of group.indices.values()) this.#begin(index);
    group.life = life;
    return group;
  }

  #add(group: Group, key: string): number {
    if (this.#sharedKeys.size > Math.min(MAX_SHARED_KEYS, this.#size)) this.#sharedKeys.clear();
    const shared = this.#sharedKeys.get(key) ?? key;
    this.#sharedKeys.set(shared, shared);
    const index = this.#free.pop() ?? this.#starts.length;
    if (index >= this.#values.length) this.#grow();
    group.indices.set(shared, index);
    this.#rounds[index] = 0;
    this.#begin(index);
    return index;
  }

  /** The series counts from the latest complete collection on. */
  #begin(index: number): void {
    this.#starts[index] = this.#previous;
    this.#values[index] = Number.NEGATIVE_INFINITY;
    if (this.#isDelta) this.#deltas[index] = { acknowledged: undefined, unanswered: undefined };
  }

  #grow(): void {
    const [values, rounds] = [this.#values, this.#rounds];
    this.#values = new Float64Array(values.length * 2);
    this.#rounds = new Uint32Array(values.length * 2);
    this.#values.set(values);
    this.#rounds.set(rounds);
  }

  #forgetOthers(): void {
    for (const [name, { indices }] of this.#groups) {
      for (const [key, index] of indices) {
        if (this.#rounds[index] === this.#round) continue;
        indices.delete(key);
        this.#begin(index);
        this.#free.push(index);
      }
      if (indices.size === 0) this.#groups.delete(name);
    }
  }
}

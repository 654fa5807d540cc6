/**
 * What the numbers of events in one simple trace mean.
 *
 * A trace of version 4 begins with some 4,000 mappings, of which it uses a few: an event gets its id in the vocabulary when it is
 * first seen, or the vocabulary would be full of names that never occur. The names are kept once for all traces of a
 * vocabulary, not once for every VM.
 */

import { Names } from '../../trace/names.js';
import type { Vocabulary } from '../../trace/sink.js';

const MAX_NAMES = 1 << 16;

class SharedNames {
  readonly names = new Names(MAX_NAMES);
  /** Name -> id in the vocabulary, once it was asked for. */
  readonly ids: number[] = [];
}

const SHARED = new WeakMap<Vocabulary, SharedNames>();

export class EventNumbers {
  readonly #vocabulary: Vocabulary;
  readonly #shared: SharedNames;
  /** Number -> name, -1 where no one has named it. */
  #nameOf = new Int32Array(0);

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#shared = SHARED.get(vocabulary) ?? new SharedNames();
    SHARED.set(vocabulary, this.#shared);
  }

  /** `number` is called `bytes[start, end)`. */
  map(number: number, bytes: Uint8Array, start: number, end: number): void {
    this.#set(number, this.#shared.names.intern(bytes, start, end));
  }

  mapText(number: number, name: string): void {
    this.#set(number, this.#shared.names.id(name));
  }

  isNamed(number: number): boolean {
    return (this.#nameOf[number] ?? -1) >= 0;
  }

  /** The event's id in the vocabulary, -1 where the number has no name. */
  eventId(number: number): number {
    const name = this.#nameOf[number] ?? -1;
    if (name < 0) return -1;
    const known = this.#shared.ids[name] ?? -1;
    return known >= 0 ? known : this.#learn(name);
  }

  #learn(name: number): number {
    const { ids, names } = this.#shared;
    // Filled up, not left with holes: an array with holes is slow.
    while (ids.length <= name) ids.push(-1);
    const id = this.#vocabulary.qemuEvents.id(names.text(name));
    ids[name] = id;
    return id;
  }

  #set(number: number, name: number): void {
    if (number >= this.#nameOf.length) {
      const grown = new Int32Array(Math.max(number + 1, this.#nameOf.length * 2)).fill(-1);
      grown.set(this.#nameOf);
      this.#nameOf = grown;
    }
    this.#nameOf[number] = name;
  }
}

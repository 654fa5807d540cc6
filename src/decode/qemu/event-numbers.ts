/**
 * Names of the event numbers in one simple trace.
 *
 * A trace of version 4 begins with about 4,000 mappings and uses few of them. So an event gets its id in the vocabulary
 * when it first occurs; otherwise names that never occur would fill the vocabulary. The names themselves are stored
 * once per vocabulary, not once per VM.
 */

import { Names, OTHER_ID } from '../../trace/names.js';
import type { Vocabulary } from '../../trace/sink.js';

const MAX_NAMES = 1 << 16;
/** Unknown names that one trace may add to the vocabulary, so that none leaves no room for those of other VMs. */
export const MAX_NEW_NAMES = 256;

class SharedNames {
  readonly names: Names;
  /** Id in the vocabulary by id in {@link names}; -1 until the event first occurs. */
  readonly ids: number[] = [];

  constructor({ qemuEvents }: Vocabulary) {
    this.names = new Names(MAX_NAMES, qemuEvents.known);
  }
}

const SHARED = new WeakMap<Vocabulary, SharedNames>();

export class EventNumbers {
  readonly #vocabulary: Vocabulary;
  readonly #shared: SharedNames;
  /** Id in the shared names by number; -1 if the number has no name. */
  #nameOf = new Int32Array(0);
  #newNames = 0;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    this.#shared = SHARED.get(vocabulary) ?? new SharedNames(vocabulary);
    SHARED.set(vocabulary, this.#shared);
  }

  /** Names a number `bytes[start, end)`. */
  map(number: number, bytes: Uint8Array, start: number, end: number): void {
    this.#set(number, this.#shared.names.intern(bytes, start, end));
  }

  mapText(number: number, name: string): void {
    this.#set(number, this.#shared.names.id(name));
  }

  isNamed(number: number): boolean {
    return (this.#nameOf[number] ?? -1) >= 0;
  }

  /** Id of the event in the vocabulary; -1 if the number has no name. */
  eventId(number: number): number {
    const name = this.#nameOf[number] ?? -1;
    if (name < 0) return -1;
    const known = this.#shared.ids[name] ?? -1;
    return known >= 0 ? known : this.#addToVocabulary(name);
  }

  #addToVocabulary(name: number): number {
    const { ids, names } = this.#shared;
    // No holes: V8 reads arrays that have holes more slowly.
    while (ids.length <= name) ids.push(-1);
    const { qemuEvents } = this.#vocabulary;
    const text = names.text(name);
    // Not remembered for the other files, which may have room for it.
    if (this.#newNames >= MAX_NEW_NAMES && !qemuEvents.has(text)) return OTHER_ID;
    const before = qemuEvents.unknownSize;
    const id = qemuEvents.id(text);
    this.#newNames += qemuEvents.unknownSize - before;
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

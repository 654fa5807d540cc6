/**
 * Names of the event numbers in one simple trace.
 *
 * A trace of version 4 begins with about 4,000 mappings and uses few of them. So an event gets its id in the vocabulary
 * when it first occurs; otherwise names that never occur would fill the vocabulary.
 */

import { latin1, OTHER } from '../../trace/names.js';
import type { Vocabulary } from '../../trace/sink.js';

/** Characters of all names of a trace. QEMU 10 has 120,000. */
const MAX_CHARACTERS = 1 << 19;
/** Room that a name takes besides its characters. */
const NAME_OVERHEAD = 16;

export class EventNumbers {
  readonly #vocabulary: Vocabulary;
  readonly #names: string[] = [];
  /** Id in the vocabulary by number; -1 until the event first occurs. */
  #ids = new Int32Array(0);
  #charactersLeft = MAX_CHARACTERS;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
  }

  /** Names a number `bytes[start, end)`. */
  map(number: number, bytes: Uint8Array, start: number, end: number): void {
    this.#charactersLeft -= end - start + NAME_OVERHEAD;
    this.mapText(number, this.#charactersLeft < 0 ? OTHER : latin1(bytes, start, end));
  }

  mapText(number: number, name: string): void {
    // No holes: V8 reads arrays that have holes more slowly.
    while (this.#names.length <= number) this.#names.push('');
    this.#names[number] = name;
    if (number < this.#ids.length) this.#ids[number] = -1;
  }

  isNamed(number: number): boolean {
    return (this.#names[number] ?? '') !== '';
  }

  /** Id of the event in the vocabulary; -1 if the number has no name. */
  eventId(number: number): number {
    const known = this.#ids[number] ?? -1;
    return known >= 0 ? known : this.#addToVocabulary(number);
  }

  #addToVocabulary(number: number): number {
    const name = this.#names[number] ?? '';
    if (name === '') return -1;
    if (number >= this.#ids.length) {
      const grown = new Int32Array(this.#names.length).fill(-1);
      grown.set(this.#ids);
      this.#ids = grown;
    }
    const id = this.#vocabulary.qemuEvents.id(name);
    this.#ids[number] = id;
    return id;
  }
}

/** Checks of where a file says that pages are. */
import type { ByteSource } from './byte-source.js';
import { TraceDatDamage } from './field-reader.js';
import { type CpuPlace, MAX_PLACES } from './options.js';

/** Cuts places that end behind the file, leaves out those that have no pages, and says how many bytes are missing. */
export class PagePlaces {
  missing = 0;
  readonly #size: number;
  #total = 0;
  #count = 0;

  constructor({ size }: ByteSource) {
    this.#size = size;
  }

  /** Throws if all places together are larger than the file, which would take any time to read. */
  check(places: readonly CpuPlace[]): CpuPlace[] {
    this.#count += places.length;
    if (this.#count > MAX_PLACES) throw new TraceDatDamage('too many CPUs');
    return places.flatMap((place) => {
      const size = Math.max(0, Math.min(place.size, this.#size - place.offset));
      this.missing += place.size - size;
      this.#total += size;
      if (this.#total > this.#size) throw new TraceDatDamage('pages overlap');
      return size > 0 ? [{ ...place, size, isCut: size < place.size }] : [];
    });
  }

  warnings(): string[] {
    if (this.missing === 0) return [];
    return [`ends early: ${this.missing.toLocaleString('en-US')} bytes of pages are missing`];
  }
}

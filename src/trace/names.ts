/** The name, and its id, that stand for every name beyond the limit of a table. */
export const OTHER = 'other';
export const OTHER_ID = 0;

const MAX_NAME_LENGTH = 128;

/**
 * A table of names and their ids. The ids are small and dense, so counters can be typed arrays. A name in a buffer is
 * looked up by its bytes, without making a string.
 *
 * The table is bounded: corrupt or hostile input may hold any number of names, and every id costs the ledger a counter.
 * Names beyond the limit are counted as {@link OTHER}. Names that are known in advance always find room.
 */
export class Names {
  readonly #texts: string[] = [OTHER];
  readonly #ids = new Map<string, number>([[OTHER, 0]]);
  readonly #limit: number;
  /** Names that have room whatever else the table holds. */
  #known: ReadonlySet<string>;
  /** Number of names that are not {@link known}. */
  #unknown = 0;
  /** Number of spellings of such names. */
  #unknownSpellings = 0;
  /** Hash table with open addressing: slot -> index of a spelling, -1 if the slot is empty. */
  #slots = new Int32Array(256).fill(-1);
  #spellings: Uint8Array[] = [];
  #spellingIds: number[] = [];

  /** @param limit of the names that are not `known`, OTHER included */
  constructor(limit = 1024, known: ReadonlySet<string> = new Set()) {
    this.#limit = limit;
    this.#known = known;
  }

  get known(): ReadonlySet<string> {
    return this.#known;
  }

  /** Makes further names known. Call it before names are added. */
  reserve(names: Iterable<string>): void {
    this.#known = new Set([...this.#known, ...names]);
  }

  /** The number of names. Ids run from 0 to size - 1. */
  get size(): number {
    return this.#texts.length;
  }

  text(id: number): string {
    return this.#texts[id] ?? OTHER;
  }

  /** All names, indexed by id. */
  texts(): readonly string[] {
    return this.#texts.slice();
  }

  /** The id of a name. A new name gets the next id, or {@link OTHER_ID} if the table is full or the name too long. */
  id(text: string): number {
    const known = this.#ids.get(text);
    if (known !== undefined) return known;
    if (!this.known.has(text)) {
      if (this.#unknown + 1 >= this.#limit || text.length > MAX_NAME_LENGTH) return OTHER_ID;
      this.#unknown++;
    }
    const id = this.#texts.length;
    this.#texts.push(text);
    this.#ids.set(text, id);
    return id;
  }

  /**
   * The id that the spelling in `bytes[start, end)` stands for, or -1 if {@link teach} was not called for it. Several
   * spellings may stand for one name. Allocates nothing.
   */
  find(bytes: Uint8Array, start: number, end: number): number {
    const slots = this.#slots;
    const mask = slots.length - 1;
    let slot = hash(bytes, start, end) & mask;
    for (;;) {
      const index = slots[slot] as number;
      if (index < 0) return -1;
      if (equal(this.#spellings[index] as Uint8Array, bytes, start, end)) return this.#spellingIds[index] as number;
      slot = (slot + 1) & mask;
    }
  }

  /**
   * Makes the spelling in `bytes[start, end)` stand for `id`. A spelling keeps its first meaning. The table holds at
   * most four spellings for each name of its limit, and as many for known names; more are ignored.
   */
  teach(bytes: Uint8Array, start: number, end: number, id: number): void {
    if (end - start > MAX_NAME_LENGTH || this.find(bytes, start, end) >= 0) return;
    const isKnown = this.known.has(this.text(id));
    const spellings = isKnown ? this.#spellings.length - this.#unknownSpellings : this.#unknownSpellings;
    if (spellings >= (isKnown ? this.known.size : this.#limit) * 4) return;
    if (!isKnown) this.#unknownSpellings++;
    // Copied, because Buffer.slice() would return a view of bytes that the caller overwrites later.
    this.#spellings.push(new Uint8Array(bytes.subarray(start, end)));
    this.#spellingIds.push(id);
    if (this.#spellings.length * 2 > this.#slots.length) this.#grow();
    else this.#place(this.#spellings.length - 1);
  }

  /**
   * The id that the spelling in `bytes[start, end)` stands for. A new spelling is added to the table and stands for the
   * name that `nameOf` returns for it, or for itself. Allocates nothing for a known spelling.
   */
  intern(bytes: Uint8Array, start: number, end: number, nameOf?: (spelling: string) => string): number {
    const known = this.find(bytes, start, end);
    if (known >= 0) return known;
    if (end - start > MAX_NAME_LENGTH) return OTHER_ID;
    const spelling = latin1(bytes, start, end);
    const id = this.id(nameOf === undefined ? spelling : nameOf(spelling));
    this.teach(bytes, start, end, id);
    return id;
  }

  #grow(): void {
    this.#slots = new Int32Array(this.#slots.length * 2).fill(-1);
    for (let index = 0; index < this.#spellings.length; index++) this.#place(index);
  }

  #place(index: number): void {
    const spelling = this.#spellings[index] as Uint8Array;
    const mask = this.#slots.length - 1;
    let slot = hash(spelling, 0, spelling.length) & mask;
    while ((this.#slots[slot] as number) >= 0) slot = (slot + 1) & mask;
    this.#slots[slot] = index;
  }
}

/**
 * The bytes as text, one character per byte. Correct for words that are ASCII. Longer words are cut to the longest
 * name.
 */
export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, Math.min(end, start + MAX_NAME_LENGTH)));
}

/** FNV-1a hash. */
function hash(bytes: Uint8Array, start: number, end: number): number {
  let h = 0x811c9dc5;
  for (let i = start; i < end; i++) h = Math.imul(h ^ (bytes[i] as number), 0x01000193);
  return h ^ (h >>> 15);
}

function equal(spelling: Uint8Array, bytes: Uint8Array, start: number, end: number): boolean {
  if (spelling.length !== end - start) return false;
  for (let i = 0; i < spelling.length; i++) if (spelling[i] !== bytes[start + i]) return false;
  return true;
}

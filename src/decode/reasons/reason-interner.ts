import type { Names } from '../../trace/names.js';

/** More than all basic VMX reasons and the dense SVM codes, which end at 0x403. */
const DENSE = 2048;
/** Limits the memory that corrupt input can take. The labels of further codes are made on every call. */
const MAX_SPARSE = 1024;

/** Turns the codes of one kind of exit reason into ids of their labels. A label is made once per code. */
export class ReasonInterner {
  readonly #names: Names;
  readonly #label: (code: number) => string;
  readonly #dense = new Int32Array(DENSE).fill(-1);
  readonly #sparse = new Map<number, number>();

  constructor(names: Names, label: (code: number) => string) {
    this.#names = names;
    this.#label = label;
  }

  id(code: number): number {
    if (code >= 0 && code < DENSE) {
      const known = this.#dense[code] as number;
      if (known >= 0) return known;
    }
    return this.#slow(code);
  }

  #slow(code: number): number {
    const known = this.#sparse.get(code);
    if (known !== undefined) return known;
    const id = this.#names.id(this.#label(code));
    if (code >= 0 && code < DENSE) this.#dense[code] = id;
    else if (this.#sparse.size < MAX_SPARSE) this.#sparse.set(code, id);
    return id;
  }
}

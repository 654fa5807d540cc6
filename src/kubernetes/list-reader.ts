const [QUOTE, BACKSLASH, COMMA] = [0x22, 0x5c, 0x2c];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
/** Nesting depth of the elements of an array in the outermost object. */
const ITEM_DEPTH = 3;

/** Limits in characters. */
export interface ListLimits {
  readonly item: number;
  readonly outline: number;
}

/**
 * Takes the JSON text of a list apart while it arrives, so that never more than one item is in memory: the objects in
 * arrays of the outermost object, and the outline, which is the rest.
 *
 *   {"kind":"PodList","metadata":{"resourceVersion":"1452"},"items":[{"metadata":...},{"metadata":...}]}
 */
export class ListReader {
  /** The text without the items: `{"kind":"PodList","metadata":{"resourceVersion":"1452"},"items":[]}`. */
  outline = '';
  readonly #limits: ListLimits;
  #item = '';
  #depth = 0;
  #isInArray = false;
  #isInItem = false;
  #isInString = false;
  #isEscaped = false;

  constructor(limits: ListLimits) {
    this.#limits = limits;
  }

  /** Yields the items that end in this chunk. Returns false if something is longer than its limit. */
  *read(chunk: string): Generator<string, boolean> {
    let from = 0;
    for (let at = 0; at < chunk.length; at++) {
      const char = chunk.charCodeAt(at);
      if (this.#isInString) this.#inString(char);
      else if (char === QUOTE) this.#isInString = true;
      else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
        this.#depth++;
        if (this.#depth === ITEM_DEPTH - 1) this.#isInArray = char === OPEN_BRACKET;
        if (this.#depth !== ITEM_DEPTH || !this.#isInArray || char !== OPEN_BRACE) continue;
        this.outline += chunk.slice(from, at);
        this.#isInItem = true;
        from = at;
      } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) {
        this.#depth--;
        if (!this.#isInItem || this.#depth !== ITEM_DEPTH - 1) continue;
        const item = this.#item + chunk.slice(from, at + 1);
        this.#item = '';
        this.#isInItem = false;
        from = at + 1;
        if (item.length > this.#limits.item) return false;
        yield item;
      } else if (char === COMMA && this.#isInArray && !this.#isInItem && this.#depth === ITEM_DEPTH - 1) {
        this.outline += chunk.slice(from, at);
        from = at + 1;
      }
    }
    if (this.#isInItem) this.#item += chunk.slice(from);
    else this.outline += chunk.slice(from);
    return this.#item.length <= this.#limits.item && this.outline.length <= this.#limits.outline;
  }

  #inString(char: number): void {
    if (this.#isEscaped) this.#isEscaped = false;
    else if (char === BACKSLASH) this.#isEscaped = true;
    else if (char === QUOTE) this.#isInString = false;
  }
}

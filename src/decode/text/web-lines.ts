import { LineSplitter } from './line-splitter.js';
import { lastBreak } from './several-events.js';

const MAX_LINE = 1 << 20;
const NEWLINE = Uint8Array.of(0x0a);

/** How a page begins, or a piece of one. A trace begins with `<idle>-0` or `<...>-4711`, which are no such elements. */
const BEGIN =
  /^(?:<!doctype|<!--|<(?:html|head|body|pre|p|div|span|code|table|tr|td|br|blockquote|ul|ol|li)[\s>/]|&(?:lt|gt|nbsp);)/i;
/** Elements that end a line, and those that stand within one. */
const BREAKS = /<(?:br|\/?(?:pre|p|div|table|tr|blockquote|ul|ol|li))(?:[\s/][^<>]*)?>/gi;
const INLINE = /<\/?(?:span|a|b|i|u|em|strong|font|code|tt|samp|kbd|td|th|html|body|tbody)(?:\s[^<>]*)?>/gi;
const REFERENCES = /&(?:(lt|gt|amp|quot|apos|nbsp)|#(\d{1,3})|#x([\da-f]{1,2}));/gi;
const NAMED: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', apos: "'", nbsp: ' ' };

/**
 * Takes the text out of a saved web page, or out of a piece of its source:
 *
 *   <pre>   &lt;...&gt;-62567 [030] 2758596.349023: <span class="k">kvm_entry</span>: vcpu 0<br>
 *
 * Only elements that pages put around text are left out, so that `<idle>` stays what it is in a page that does not
 * write it as a reference.
 */
export class WebLines {
  readonly #onText: (chunk: Uint8Array) => void;
  readonly #lines: LineSplitter;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();

  /** True if a file that begins with these bytes is a page. */
  static begins(head: Uint8Array): boolean {
    return BEGIN.test(String.fromCharCode(...head.subarray(0, 16)));
  }

  constructor(onText: (chunk: Uint8Array) => void, onTooLong: () => void) {
    this.#onText = onText;
    const onLine = (bytes: Uint8Array, start: number, end: number) => {
      this.#onText(this.#textOf(bytes.subarray(start, end)));
      this.#onText(NEWLINE);
    };
    const onLastLine = (bytes: Uint8Array, start: number, end: number) =>
      this.#onText(this.#textOf(bytes.subarray(start, end)));
    this.#lines = new LineSplitter(onLine, onTooLong, MAX_LINE, onLastLine, lastBreak);
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
  }

  #textOf(bytes: Uint8Array): Uint8Array {
    const text = this.#decoder.decode(bytes).replace(BREAKS, '\n').replace(INLINE, '').replace(REFERENCES, characterOf);
    return this.#encoder.encode(text);
  }
}

function characterOf(reference: string, name?: string, decimal?: string, hexadecimal?: string): string {
  if (name !== undefined) return NAMED[name.toLowerCase()] ?? reference;
  const code = decimal === undefined ? Number.parseInt(hexadecimal ?? '', 16) : Number(decimal);
  if (code === 0xa0) return ' ';
  return code >= 0x20 && code < 0x7f ? String.fromCharCode(code) : reference;
}

import { LineSplitter } from './line-splitter.js';
import { lastBreak } from './several-events.js';

/** Members that hold the text of a log line, in the order in which they are looked for. */
const TEXT_MEMBERS = [
  'log', // docker, Kubernetes
  'MESSAGE', // journalctl -o json
  'message',
  'msg',
  'textPayload', // Google Cloud
  '_raw', // Splunk
  'line', // Loki
];
/** docker splits a longer line into pieces of this length, of which only the last has the line end. */
const DOCKER_PIECE = 16384;
const MAX_LINE = 1 << 20;
/** Objects and arrays inside each other, and inside strings. */
const MAX_DEPTH = 16;
const NEWLINE = Uint8Array.of(0x0a);

/** How JSON begins: an object, a string, or an array of such. A trace can begin with `[000]` or `[  100.000001]`. */
const BEGIN = /^(?:[{"]|\[\s*["{[])/;

/**
 * Takes log lines out of JSON, one value per line:
 *
 *   {"log":"7022@1567775824.012:kvm_run_exit cpu_index 1, reason 2\n","stream":"stderr","time":"2026-..."}
 *   {"data":{"result":[{"values":[["1714557601","7022@1567775824.012:kvm_run_exit cpu_index 1, reason 2"]]}]}}
 *   ["7022@1567775824.012:kvm_run_exit cpu_index 1, reason 2","7022@1567775824.013:kvm_run_exit cpu_index 1, reason 2"]
 *
 * Of an object with one of the known members, only that is taken; else every string, wherever it is. A line that is no
 * JSON is passed on as it is.
 */
export class JsonLines {
  readonly #onText: (chunk: Uint8Array) => void;
  readonly #lines: LineSplitter;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();

  /** True if a file that begins with these bytes is JSON. */
  static begins(head: Uint8Array): boolean {
    return BEGIN.test(String.fromCharCode(...head.subarray(0, 16)));
  }

  constructor(onText: (chunk: Uint8Array) => void, onTooLong: () => void) {
    this.#onText = onText;
    const onLine = (bytes: Uint8Array, start: number, end: number) => this.#line(bytes.subarray(start, end));
    const onLastLine = (bytes: Uint8Array, start: number, end: number) =>
      this.#onText(this.#textOf(bytes.subarray(start, end)) ?? bytes.subarray(start, end));
    this.#lines = new LineSplitter(onLine, onTooLong, MAX_LINE, onLastLine, lastBreak);
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
  }

  #line(bytes: Uint8Array): void {
    const text = this.#textOf(bytes);
    this.#onText(text ?? bytes);
    if (text === undefined) this.#onText(NEWLINE);
  }

  /** The text that a JSON value holds, with its line end; undefined if the line is none, or has no text. */
  #textOf(bytes: Uint8Array): Uint8Array | undefined {
    if (!JsonLines.begins(bytes)) return undefined;
    const texts = textsOf(parse(this.#decoder.decode(bytes)), 0);
    const [text] = texts;
    if (text === undefined) return undefined;
    const isPiece = texts.length === 1 && text.length >= DOCKER_PIECE;
    return this.#encoder.encode(
      isPiece ? text : texts.map((line) => (line.endsWith('\n') ? line : `${line}\n`)).join(''),
    );
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function textsOf(value: unknown, depth: number): readonly string[] {
  if (typeof value === 'string') return textsOfString(value, depth);
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return [];
  if (isBytes(value)) return [new TextDecoder().decode(Uint8Array.from(value))];
  const member = TEXT_MEMBERS.find((name) => isText((value as Record<string, unknown>)[name]));
  const inner = member === undefined ? Object.values(value) : [(value as Record<string, unknown>)[member]];
  return inner.flatMap((each) => textsOf(each, depth + 1));
}

/** A text can be JSON itself. */
function textsOfString(text: string, depth: number): readonly string[] {
  const inner = (text[0] === '{' || text[0] === '[') && depth < MAX_DEPTH ? textsOf(parse(text), depth + 1) : [];
  return inner.length > 0 ? inner : [text];
}

function isText(value: unknown): boolean {
  return typeof value === 'string' || isBytes(value);
}

/** journalctl writes a text with control characters in it as an array of bytes. */
function isBytes(value: unknown): value is number[] {
  return Array.isArray(value) && value.length > 0 && value.every((byte) => typeof byte === 'number');
}

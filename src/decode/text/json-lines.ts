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
const NOTHING = new Uint8Array(0);
const OPEN_BRACE = 0x7b;
const CLOSE_BRACE = 0x7d;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;

/** How JSON begins: an object, a string, or an array of such. A trace can begin with `[000]` or `[  100.000001]`. */
const BEGIN = /^(?:[{"]|\[\s*["{[])/;

/**
 * Takes log lines out of JSON, one value per line, or over several lines with its brackets on lines of their own:
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
  /** The lines of a value that has not ended; empty if there is none. */
  #block: Uint8Array[] = [];
  #blockBytes = 0;

  /** True if a file that begins with these bytes is JSON. */
  static begins(head: Uint8Array): boolean {
    return BEGIN.test(String.fromCharCode(...head.subarray(0, 16)));
  }

  constructor(onText: (chunk: Uint8Array) => void, onTooLong: () => void) {
    this.#onText = onText;
    const onLine = (bytes: Uint8Array, start: number, end: number) => this.#line(bytes.subarray(start, end), NEWLINE);
    const onLastLine = (bytes: Uint8Array, start: number, end: number) =>
      this.#line(bytes.subarray(start, end), NOTHING);
    this.#lines = new LineSplitter(onLine, onTooLong, MAX_LINE, onLastLine, lastBreak);
  }

  push(chunk: Uint8Array): void {
    this.#lines.push(chunk);
  }

  end(): void {
    this.#lines.end();
    this.#endBlock();
  }

  /** @param lineEnd of the line, if it has one */
  #line(bytes: Uint8Array, lineEnd: Uint8Array): void {
    const isBegin = bytes.length === 1 && (bytes[0] === OPEN_BRACE || bytes[0] === OPEN_BRACKET);
    if (this.#block.length === 0 && !isBegin) return this.#emit(bytes, lineEnd);
    this.#block.push(bytes.slice(), lineEnd);
    this.#blockBytes += bytes.length + lineEnd.length;
    const isEnd = bytes[0] === CLOSE_BRACE || bytes[0] === CLOSE_BRACKET;
    if (isEnd || this.#blockBytes > MAX_LINE) this.#endBlock();
  }

  /** Emits the text of a value over several lines, or these lines if they are none. */
  #endBlock(): void {
    const block = this.#block;
    if (block.length === 0) return;
    this.#block = [];
    const bytes = new Uint8Array(this.#blockBytes);
    this.#blockBytes = 0;
    let at = 0;
    for (const part of block) {
      bytes.set(part, at);
      at += part.length;
    }
    this.#emit(bytes, NOTHING);
  }

  #emit(bytes: Uint8Array, lineEnd: Uint8Array): void {
    const text = this.#textOf(bytes);
    this.#onText(text ?? bytes);
    if (text === undefined) this.#onText(lineEnd);
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

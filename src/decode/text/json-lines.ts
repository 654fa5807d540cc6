import { LineSplitter } from './line-splitter.js';

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
const OPEN_BRACE = 0x7b;
const NEWLINE = Uint8Array.of(0x0a);

/**
 * Takes log lines out of JSON objects, one of them per line:
 *
 *   {"log":"7022@1567775824.012:kvm_run_exit cpu_index 1, reason 2\n","stream":"stderr","time":"2026-..."}
 *
 * A line that is no object with such a member is passed on as it is.
 */
export class JsonLines {
  readonly #onText: (chunk: Uint8Array) => void;
  readonly #lines: LineSplitter;
  readonly #decoder = new TextDecoder();
  readonly #encoder = new TextEncoder();

  constructor(onText: (chunk: Uint8Array) => void, onTooLong: () => void) {
    this.#onText = onText;
    const onLine = (bytes: Uint8Array, start: number, end: number) => this.#line(bytes.subarray(start, end));
    this.#lines = new LineSplitter(onLine, onTooLong, MAX_LINE, (bytes, start, end) =>
      this.#onText(this.#textOf(bytes.subarray(start, end)) ?? bytes.subarray(start, end)),
    );
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

  /** The text that an object holds, with its line end; undefined if the line is no such object. */
  #textOf(bytes: Uint8Array): Uint8Array | undefined {
    if (bytes[0] !== OPEN_BRACE) return undefined;
    const object = parseObject(this.#decoder.decode(bytes));
    const member = TEXT_MEMBERS.find((name) => isText(object?.[name]));
    if (object === undefined || member === undefined) return undefined;
    const value = object[member] as string | number[];
    const text = typeof value === 'string' ? value : this.#decoder.decode(Uint8Array.from(value));
    const isComplete = text.endsWith('\n') || text.length >= DOCKER_PIECE;
    return this.#encoder.encode(isComplete ? text : `${text}\n`);
  }
}

function parseObject(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** journalctl writes a text with control characters in it as an array of bytes. */
function isText(value: unknown): boolean {
  return typeof value === 'string' || (Array.isArray(value) && value.every((byte) => typeof byte === 'number'));
}

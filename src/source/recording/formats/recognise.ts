import { TextCleaner } from '../../../decode/text/clean-text.js';
import { LineSplitter } from '../../../decode/text/line-splitter.js';
import { lastBreak } from '../../../decode/text/several-events.js';
import { decodeUtf16 } from '../../../decode/text/utf16.js';
import { AgentError } from '../../../system/errors.js';
import { BINARY_FORMATS, readableFormats, TEXT_FORMATS } from './all-formats.js';
import type { PageFormat, RecordingFormat } from './recording-format.js';
import { OTHER_TEXTS, UNREADABLE_FORMATS } from './unreadable-formats.js';

/** Bytes that show a binary format. */
const HEAD_BYTES = 512;
/** Text that is compared with what other tools write. */
const SAMPLE_BYTES = 1 << 16;
/** The sample's lines are short, so that no pattern takes long. */
const SAMPLE_LINE_BYTES = 300;
/** An event that comes later than this is not looked for, unless the caller sets another limit. */
const MAX_BYTES = 1 << 26;
/** Tab, line feed, carriage return, escape. */
const TEXT_CONTROLS = [0x09, 0x0a, 0x0d, 0x1b];
/** More of the first bytes are control characters in no text. */
const MAX_CONTROLS = 0.05;

/**
 * Finds the format of a file while it is read: by its first bytes, or by its first event, which may come behind any
 * number of other lines. Keeps no more than the first lines, and the line that is being read.
 */
export class FormatSearch {
  readonly #path: string;
  readonly #maxBytes: number;
  #head = Buffer.alloc(0);
  #isText = false;
  #length = 0;
  readonly #recognisers = TEXT_FORMATS.map((format) => ({ format, recogniser: format.createRecogniser() }));
  #found: PageFormat | RecordingFormat | undefined;
  #sample = '';
  readonly #cleaner: TextCleaner;
  readonly #lines: LineSplitter;

  /**
   * @param path of the file, for messages
   * @param maxBytes an event that comes later is not looked for
   */
  constructor(path: string, maxBytes = MAX_BYTES) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    const onLine = (bytes: Uint8Array, start: number, end: number) => this.#line(bytes, start, end);
    this.#lines = new LineSplitter(onLine, () => {}, undefined, onLine, lastBreak);
    this.#cleaner = new TextCleaner((text) => this.#lines.push(text));
  }

  /**
   * Returns the format once it is known.
   * @throws AgentError if the file cannot be read
   */
  push(chunk: Uint8Array): PageFormat | RecordingFormat | undefined {
    this.#length += chunk.length;
    if (this.#isText) this.#cleaner.push(chunk);
    else {
      this.#head = Buffer.concat([this.#head, chunk]);
      if (this.#head.length >= HEAD_BYTES) this.#checkHead();
    }
    if (this.#found === undefined && this.#length > this.#maxBytes) this.end();
    return this.#found;
  }

  /**
   * Returns the format of a file that was read to its end.
   * @throws AgentError if it is not known
   */
  end(): PageFormat | RecordingFormat {
    if (!this.#isText && this.#found === undefined) this.#checkHead();
    if (this.#found === undefined) {
      this.#cleaner.end();
      this.#lines.end();
    }
    if (this.#found !== undefined) return this.#found;
    const other = OTHER_TEXTS.find(({ pattern }) => pattern.test(this.#sample));
    if (other !== undefined) throw new AgentError(`${this.#path}: ${other.advice}`);
    const likely = this.#recognisers.find(({ recogniser }) => recogniser.isLikely);
    if (likely !== undefined) return likely.format;
    throw new AgentError(`${this.#path}: unknown format, no event in it; expected ${readableFormats()}`);
  }

  #checkHead(): void {
    const head = this.#head;
    this.#head = Buffer.alloc(0);
    this.#isText = true;
    const start = head.subarray(0, HEAD_BYTES);
    const text = start.toString('latin1');
    const unreadable = UNREADABLE_FORMATS.find(({ magic, at = 0 }) => text.startsWith(magic, at));
    if (unreadable !== undefined) throw new AgentError(`${this.#path}: ${unreadable.advice}`);
    this.#found = BINARY_FORMATS.find((format) => format.matches(start));
    if (this.#found !== undefined) return;
    if (isBinary(start)) throw new AgentError(`${this.#path}: unknown format; expected ${readableFormats()}`);
    this.#cleaner.push(head);
  }

  #line(bytes: Uint8Array, start: number, end: number): void {
    if (this.#found !== undefined) return;
    const line = bytes.subarray(start, end);
    if (this.#sample.length < SAMPLE_BYTES && end > start)
      this.#sample += `${Buffer.from(line.subarray(0, SAMPLE_LINE_BYTES)).toString('latin1')}\n`;
    this.#found = this.#recognisers.find(({ recogniser }) => recogniser.hasEvent(line))?.format;
  }
}

/** True for bytes that are no text: more control characters than UTF-16 or damage explain. */
function isBinary(head: Uint8Array): boolean {
  if (decodeUtf16(head) !== undefined) return false;
  const controls = head.reduce((sum, byte) => sum + (byte < 0x20 && !TEXT_CONTROLS.includes(byte) ? 1 : 0), 0);
  return controls > head.length * MAX_CONTROLS;
}

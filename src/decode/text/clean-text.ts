/**
 * Turns the bytes of a saved text file into the plain lines that the decoders read. People pass traces through many
 * hands, and each leaves its marks:
 *
 *   UTF-8 with a byte order mark; UTF-16 of either byte order, with or without one      Windows, PowerShell
 *   lines that end in CR alone                                                          old editors
 *   terminal escape sequences: colours, titles, links                                   grep --color, script
 *   no-break spaces                                                                     web pages, mails
 *   tabs in place of all blanks                                                         spreadsheets, unexpand
 *   backslashes before punctuation: kvm\_exit                                           editors of Markdown
 *   JSON, one value per line, with the text in its strings                              docker, journalctl -o json
 *   elements and references of HTML                                                     saved web pages
 *
 * Bytes that need none of this are passed on as they are, without a copy. Escape sequences and the like are in nearly
 * every line of a file or in none, so after the first megabyte only the beginning of each chunk is searched for them.
 */
import { NEWLINE, SPACE } from './bytes.js';
import { JsonLines } from './json-lines.js';
import { decodeUtf16, type Utf16 } from './utf16.js';
import { WebLines } from './web-lines.js';

const ESC = 0x1b;
const CR = 0x0d;
const BEL = 0x07;
/** First byte of a no-break space in UTF-8, whose second byte is {@link NBSP}. */
const UTF8_LATIN1 = 0xc2;
const NBSP = 0xa0;
const OPEN_BRACKET = 0x5b;
const CLOSE_BRACKET = 0x5d;
const BACKSLASH = 0x5c;
const UNDERSCORE = 0x5f;
const TAB = 0x09;
const COLON = 0x3a;
/** What editors of Markdown write a backslash before. */
const PUNCTUATION = Array.from('_[]<>()*#+-.!|`~', (character) => character.charCodeAt(0));
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** Bytes from which the encoding is recognised. */
const HEAD_BYTES = 64;
/** An escape sequence that has not ended after this many bytes is none. */
const MAX_SEQUENCE = 2048;

/** Searched for bytes that have to be replaced: the beginning of the file, then the beginning of each chunk. */
const SEARCHED_BYTES = 1 << 20;
const SAMPLE_BYTES = 4096;

const TEXT = 0;
const AFTER_ESC = 1;
/** Inside `ESC [ ... letter`: colours, movements of the cursor. */
const IN_CSI = 2;
/** Inside `ESC ] ... BEL` or `ESC ] ... ESC \`: titles, links. */
const IN_OSC = 3;
const IN_OSC_AFTER_ESC = 4;
const AFTER_CR = 5;
const AFTER_UTF8_LATIN1 = 6;
const AFTER_BACKSLASH = 7;

export class TextCleaner {
  readonly #onText: (chunk: Uint8Array) => void;
  /** Unwraps JSON or HTML; undefined if the file does not begin as these do. */
  #wrapped: JsonLines | WebLines | undefined;
  readonly #onTooLong: () => void;
  /** The first bytes of the file, until there are enough to recognise its encoding. */
  #head: Uint8Array | undefined = new Uint8Array(0);
  #utf16: Utf16 | undefined;
  /** True if CR alone ends a line; undefined until a line has ended. */
  #endsInCr: boolean | undefined;
  /** True until a character that is not blank has come: it shows whether the file is JSON or HTML. */
  #isBlank = true;
  /** True once a byte has come that has to be replaced or left out. */
  #isUnclean = false;
  /** True if backslashes before punctuation are left out, or tabs are blanks. */
  #hasEscapes = false;
  #hasTabs = false;
  /** Bytes so far, up to {@link SEARCHED_BYTES}. */
  #position = 0;
  #state = TEXT;
  #sequenceLength = 0;
  #out = new Uint8Array(0);
  #length = 0;

  /**
   * @param onText receives plain text. The bytes are valid during the call only
   * @param onTooLong called for a line of JSON that is too long to be read
   */
  constructor(onText: (chunk: Uint8Array) => void, onTooLong: () => void = () => {}) {
    this.#onText = onText;
    this.#onTooLong = onTooLong;
  }

  push(chunk: Uint8Array): void {
    const head = this.#head;
    if (head === undefined) return this.#decode(chunk);
    if (head.length + chunk.length < HEAD_BYTES) {
      this.#head = joined(head, chunk);
      return;
    }
    // Nearly always the first chunk is long enough, so that nothing has to be copied.
    this.#begin(head.length === 0 ? chunk : joined(head, chunk));
  }

  end(): void {
    if (this.#head !== undefined) this.#begin(this.#head);
    this.#wrapped?.end();
    if (this.#state === AFTER_UTF8_LATIN1) this.#onText(Uint8Array.of(UTF8_LATIN1));
    else if (this.#state === AFTER_BACKSLASH) this.#onText(Uint8Array.of(BACKSLASH));
    else if (this.#state === AFTER_CR) this.#onText(Uint8Array.of(NEWLINE));
    this.#state = TEXT;
  }

  #begin(head: Uint8Array): void {
    this.#head = undefined;
    this.#utf16 = decodeUtf16(head.subarray(0, HEAD_BYTES));
    const hasMark = BYTE_ORDER_MARK.every((byte, index) => head[index] === byte);
    this.#decode(hasMark ? head.subarray(BYTE_ORDER_MARK.length) : head);
  }

  #decode(chunk: Uint8Array): void {
    const bytes = this.#utf16 === undefined ? chunk : this.#utf16.decode(chunk);
    if (this.#isBlank) this.#lookForWrapping(bytes);
    if (this.#wrapped === undefined) this.#clean(bytes);
    else this.#wrapped.push(bytes);
  }

  #lookForWrapping(bytes: Uint8Array): void {
    const first = bytes.findIndex((byte) => byte > SPACE);
    if (first < 0) return;
    this.#isBlank = false;
    const onText = (chunk: Uint8Array) => this.#clean(chunk);
    if (JsonLines.begins(bytes.subarray(first))) this.#wrapped = new JsonLines(onText, this.#onTooLong);
    else if (WebLines.begins(bytes.subarray(first))) this.#wrapped = new WebLines(onText, this.#onTooLong);
  }

  #clean(bytes: Uint8Array): void {
    if (this.#endsInCr === undefined) this.#findLineEnd(bytes);
    if (this.#state === AFTER_CR && this.#endsInCr === false) {
      this.#state = TEXT;
      this.#onText(Uint8Array.of(CR));
    }
    if (!this.#isUnclean) this.#search(bytes);
    if (!this.#isUnclean && this.#endsInCr === false) return this.#onText(bytes);
    // What was begun in the chunk before can add a byte.
    if (this.#out.length < bytes.length + 2) this.#out = new Uint8Array(bytes.length + 2);
    this.#length = 0;
    for (let i = 0; i < bytes.length; i++) this.#add(bytes[i] as number);
    if (this.#length > 0) this.#onText(this.#out.subarray(0, this.#length));
  }

  #search(bytes: Uint8Array): void {
    const searched = this.#position < SEARCHED_BYTES ? bytes : bytes.subarray(0, SAMPLE_BYTES);
    this.#hasEscapes = hasPair(searched, BACKSLASH, UNDERSCORE);
    this.#hasTabs = hasPair(searched, COLON, TAB);
    const hasBytes = searched.includes(ESC) || searched.includes(UTF8_LATIN1);
    this.#isUnclean = this.#hasEscapes || this.#hasTabs || hasBytes;
    this.#position += bytes.length;
  }

  /** The first line end of the file shows whether CR alone ends its lines. */
  #findLineEnd(bytes: Uint8Array): void {
    if (this.#state === AFTER_CR && bytes.length > 0) {
      this.#endsInCr = bytes[0] !== NEWLINE && bytes[0] !== CR;
      return;
    }
    for (let i = 0; i < bytes.length; i++) {
      if (bytes[i] === NEWLINE) this.#endsInCr = false;
      else if (bytes[i] === CR && i + 1 < bytes.length)
        this.#endsInCr = bytes[i + 1] !== NEWLINE && bytes[i + 1] !== CR;
      else if (bytes[i] !== CR) continue;
      return;
    }
  }

  /** Adds a byte of the file to {@link #out}, unless it belongs to what is left out. */
  #add(byte: number): void {
    if (this.#state !== TEXT && !this.#continue(byte)) return;
    if (byte === ESC) this.#enter(AFTER_ESC);
    else if (byte === UTF8_LATIN1) this.#enter(AFTER_UTF8_LATIN1);
    else if (byte === CR && this.#endsInCr !== false) this.#enter(AFTER_CR);
    else if (byte === BACKSLASH && this.#hasEscapes) this.#enter(AFTER_BACKSLASH);
    else if (byte === TAB && this.#hasTabs) this.#put(SPACE);
    else this.#put(byte);
  }

  /** Continues what an earlier byte began. True if the byte is text that follows it. */
  #continue(byte: number): boolean {
    if (this.#state === AFTER_CR) {
      if (byte === CR) return false;
      this.#state = TEXT;
      if (byte !== NEWLINE) this.#put(NEWLINE);
      return true;
    }
    if (this.#state === AFTER_UTF8_LATIN1) {
      this.#state = TEXT;
      this.#put(byte === NBSP ? SPACE : UTF8_LATIN1);
      return byte !== NBSP;
    }
    if (this.#state === AFTER_BACKSLASH) {
      this.#state = TEXT;
      if (!PUNCTUATION.includes(byte)) this.#put(BACKSLASH);
      return true;
    }
    const isOver = byte === NEWLINE || ++this.#sequenceLength > MAX_SEQUENCE;
    if (isOver) this.#state = TEXT;
    else this.#state = stateAfter(this.#state, byte);
    return isOver;
  }

  #enter(state: number): void {
    this.#state = state;
    this.#sequenceLength = 0;
  }

  #put(byte: number): void {
    this.#out[this.#length++] = byte;
  }
}

/** True if `second` stands directly behind `first` somewhere. */
function hasPair(bytes: Uint8Array, first: number, second: number): boolean {
  for (let at = bytes.indexOf(first); at >= 0; at = bytes.indexOf(first, at + 1))
    if (bytes[at + 1] === second) return true;
  return false;
}

/** State of an escape sequence after another byte; {@link TEXT} if the byte ends it. */
function stateAfter(state: number, byte: number): number {
  if (state === AFTER_ESC) {
    if (byte === OPEN_BRACKET) return IN_CSI;
    if (byte === CLOSE_BRACKET) return IN_OSC;
    // `ESC ( B` and the like: bytes from 0x20 to 0x2f are followed by another one.
    return byte >= 0x20 && byte <= 0x2f ? AFTER_ESC : TEXT;
  }
  if (state === IN_CSI) return byte >= 0x40 && byte <= 0x7e ? TEXT : IN_CSI;
  if (byte === BEL || (state === IN_OSC_AFTER_ESC && byte === BACKSLASH)) return TEXT;
  return byte === ESC ? IN_OSC_AFTER_ESC : IN_OSC;
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

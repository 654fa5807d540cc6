/**
 * Zstandard (RFC 8878), for Node.js versions without it and for streams that have to be unpacked as they come.
 *
 *   28 b5 2f fd               magic of a frame
 *   60                        descriptor: sizes of what follows
 *   00 01                     content size: 512 (less 256)
 *   55 00 00                  block: 3 bits (last: 1, type: 2 bits), then its length in 21 bits
 *   ...                       the block's content
 *
 * Content comes block by block, so memory does not depend on the data:
 *
 *     decoder.push(chunk);
 *     for (let piece = decoder.next(); piece !== undefined; piece = decoder.next()) use(piece);
 *
 * The npm package fzstd is no choice: it hangs on a
 * damaged Huffman code (24 bytes). Not supported: dictionaries. Checksums are not verified.
 */
import { BlockBits, MARGIN, MAX_BLOCK } from './block-bits.js';
import { ensure, ZstdDamage } from './damage.js';
import { History } from './history.js';
import { Literals } from './literals.js';
import { Sequences } from './sequences.js';

const MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const MAX_WINDOW = 1 << 27;

// Types of blocks.
const RAW = 0;
const REPEATED_BYTE = 1;
const PACKED = 2;

const MAGIC_BYTES = 4;
const DESCRIPTOR_BYTES = 5;
const SKIPPABLE_BYTES = 8;
const BLOCK_HEADER_BYTES = 3;
const CHECKSUM_BYTES = 4;
/** Indexed by the upper two bits of a descriptor; 1 instead of 0 if the frame is a single segment. */
const CONTENT_SIZE_BYTES = [0, 2, 4, 8];
const DICTIONARY_BYTES = [0, 1, 2, 4];

/** What the next bytes are. */
type Part = 'magic' | 'descriptor' | 'frame header' | 'skippable' | 'block header' | 'block' | 'checksum';

export class ZstdDecoder {
  /** Reason why no more content comes: the data is damaged, or needs what is not supported. */
  problem: string | undefined;
  readonly #bits = new BlockBits();
  readonly #history = new History();
  readonly #literals = new Literals();
  readonly #sequences = new Sequences();
  #chunk: Uint8Array = new Uint8Array(0);
  /** Position of the next byte in the chunk. */
  #at = 0;
  #part: Part = 'magic';
  /** Bytes of the current part that are there, and that it has in all. */
  #held = 0;
  #size = MAGIC_BYTES;
  /** Bytes of a skippable frame that are still to come. */
  #skipped = 0;
  #blockType = RAW;
  #isLastBlock = false;
  /** Length of the current block's content if it is one repeated byte. */
  #repeated = 0;
  #maxBlock = MAX_BLOCK;
  #hasChecksum = false;
  /** Bytes of the frame's content that are still to come; NaN if the frame does not say. */
  #missingContent = Number.NaN;

  /** True if the data may end here: no frame is open. */
  get isComplete(): boolean {
    const isBetween = this.#part === 'magic' && this.#held === 0 && this.#skipped === 0;
    return this.problem === undefined && isBetween && this.#at === this.#chunk.length;
  }

  /** Adds packed data. It is not copied and must not change until {@link next} returned all its content. */
  push(chunk: Uint8Array): void {
    this.#chunk = this.#at === this.#chunk.length ? chunk : joined(this.#chunk.subarray(this.#at), chunk);
    this.#at = 0;
  }

  /** The next piece of content, at most 128 KiB; undefined if more data is needed, or if there is a {@link problem}. */
  next(): Uint8Array | undefined {
    try {
      return this.problem === undefined ? this.#next() : undefined;
    } catch (error) {
      if (!(error instanceof ZstdDamage)) throw error;
      this.problem = `damaged zstd data: ${error.message}`;
      return undefined;
    }
  }

  /** Starts over: the next bytes begin a frame, whatever came before. */
  reset(): void {
    this.problem = undefined;
    this.#skipped = 0;
    this.#at = this.#chunk.length;
    this.#expect('magic', MAGIC_BYTES);
  }

  #next(): Uint8Array | undefined {
    const chunk = this.#chunk;
    while (this.#at < chunk.length) {
      const left = chunk.length - this.#at;
      if (this.#skipped > 0) {
        const skipped = Math.min(this.#skipped, left);
        this.#skipped -= skipped;
        this.#at += skipped;
        continue;
      }
      const taken = Math.min(this.#size - this.#held, left);
      this.#bits.bytes.set(chunk.subarray(this.#at, this.#at + taken), MARGIN + this.#held);
      this.#held += taken;
      this.#at += taken;
      const content = this.#held === this.#size ? this.#read() : undefined;
      if (content !== undefined && content.length > 0) return content;
    }
    return undefined;
  }

  /** The current part is there in full. Returns its content if it is a block. */
  #read(): Uint8Array | undefined {
    if (this.#part === 'block') return this.#readBlock();
    if (this.#part === 'block header') return this.#readBlockHeader();
    if (this.#part === 'magic') this.#readMagic();
    else if (this.#part === 'descriptor') this.#extend('frame header', this.#frameHeaderBytes());
    else if (this.#part === 'frame header') this.#startFrame();
    else {
      if (this.#part === 'skippable') this.#skipped = this.#bits.view.getUint32(MARGIN + MAGIC_BYTES, true);
      this.#expect('magic', MAGIC_BYTES);
    }
    return undefined;
  }

  #readMagic(): void {
    const magic = this.#bits.view.getUint32(MARGIN, true);
    if (magic === MAGIC) return this.#extend('descriptor', DESCRIPTOR_BYTES);
    ensure((magic & ~15) >>> 0 === SKIPPABLE_MAGIC, 'not a frame');
    this.#extend('skippable', SKIPPABLE_BYTES);
  }

  #frameHeaderBytes(): number {
    const { descriptor, isSingle, contentBytes, dictionaryBytes } = this.#descriptor();
    ensure((descriptor & 8) === 0, 'an unknown kind of frame');
    return DESCRIPTOR_BYTES + (isSingle ? 0 : 1) + dictionaryBytes + contentBytes;
  }

  #descriptor() {
    const descriptor = this.#bits.bytes[MARGIN + MAGIC_BYTES] as number;
    const isSingle = (descriptor & 0x20) !== 0;
    const sizeFlag = descriptor >> 6;
    return {
      descriptor,
      isSingle,
      contentBytes: sizeFlag === 0 && isSingle ? 1 : (CONTENT_SIZE_BYTES[sizeFlag] as number),
      dictionaryBytes: DICTIONARY_BYTES[descriptor & 3] as number,
    };
  }

  #startFrame(): void {
    const { bytes, view } = this.#bits;
    const { descriptor, isSingle, contentBytes, dictionaryBytes } = this.#descriptor();
    const at = MARGIN + DESCRIPTOR_BYTES;
    const exponent = 10 + ((bytes[at] as number) >> 3);
    const mantissa = (bytes[at] as number) & 7;
    this.#missingContent = this.#contentSize(this.#size - contentBytes, contentBytes);
    const window = isSingle ? this.#missingContent : 2 ** exponent * (1 + mantissa / 8);
    this.#hasChecksum = (descriptor & 4) !== 0;
    const dictionaryAt = at + (isSingle ? 0 : 1);
    for (let i = 0; i < dictionaryBytes; i++) ensure(view.getUint8(dictionaryAt + i) === 0, 'packed with a dictionary');
    ensure(window <= MAX_WINDOW, `a window of more than ${MAX_WINDOW >> 20} MiB`);
    this.#maxBlock = Math.min(window, MAX_BLOCK);
    this.#history.startFrame(window);
    this.#literals.reset();
    this.#sequences.reset();
    this.#expect('block header', BLOCK_HEADER_BYTES);
  }

  /** @param offset in the frame */
  #contentSize(offset: number, size: number): number {
    const { view } = this.#bits;
    const at = MARGIN + offset;
    if (size === 0) return Number.NaN;
    if (size === 1) return view.getUint8(at);
    if (size === 2) return view.getUint16(at, true) + 256;
    return view.getUint32(at, true) + (size === 8 ? view.getUint32(at + 4, true) * 2 ** 32 : 0);
  }

  #readBlockHeader(): Uint8Array | undefined {
    const header = this.#bits.read(MARGIN * 8, 24);
    const size = header >> 3;
    this.#isLastBlock = (header & 1) !== 0;
    this.#blockType = (header >> 1) & 3;
    ensure(this.#blockType <= PACKED && size <= this.#maxBlock, 'a block that cannot be');
    this.#repeated = size;
    this.#expect('block', this.#blockType === REPEATED_BYTE ? 1 : size);
    return this.#size === 0 ? this.#readBlock() : undefined;
  }

  #readBlock(): Uint8Array {
    const { bytes } = this.#bits;
    const history = this.#history;
    const end = MARGIN + this.#size;
    history.startBlock();
    if (this.#blockType === RAW) history.addLiterals(bytes, MARGIN, end);
    else if (this.#blockType === REPEATED_BYTE) history.addRepeated(bytes[MARGIN] as number, this.#repeated);
    else {
      const next = this.#literals.read(this.#bits, MARGIN, end);
      this.#sequences.run(this.#bits, next, end, this.#literals, history);
    }
    const content = history.block();
    ensure(content.length <= this.#maxBlock, 'a block larger than its frame allows');
    this.#missingContent -= content.length;
    if (this.#isLastBlock) this.#endFrame();
    else this.#expect('block header', BLOCK_HEADER_BYTES);
    return content;
  }

  #endFrame(): void {
    const missing = this.#missingContent;
    ensure(missing === 0 || Number.isNaN(missing), 'a frame of another length than said');
    if (this.#hasChecksum) this.#expect('checksum', CHECKSUM_BYTES);
    else this.#expect('magic', MAGIC_BYTES);
  }

  #expect(part: Part, size: number): void {
    this.#held = 0;
    this.#extend(part, size);
  }

  /** The current part is the beginning of a longer one. */
  #extend(part: Part, size: number): void {
    this.#part = part;
    this.#size = size;
  }
}

function joined(a: Uint8Array, b: Uint8Array): Uint8Array {
  const both = new Uint8Array(a.length + b.length);
  both.set(a);
  both.set(b, a.length);
  return both;
}

import { type ByteSource, bytesInMemory } from './byte-source.js';
import { FieldReader, TraceDatDamage } from './field-reader.js';
import type { Unpack } from './trace-dat.js';

/** u16 id, u16 flags, u32 name, u64 size. */
export const SECTION_HEADER = 16;
const PACKED = 1;
/** More than any section but those of pages and of kallsyms, which are not read as a whole. */
const MAX_SECTION = 1 << 26;

export interface Section {
  readonly id: number;
  readonly isPacked: boolean;
  /** Position of the first byte behind the header. */
  readonly start: number;
  /** Bytes in the file. */
  readonly size: number;
}

/** The sections of a trace.dat of version 7. */
export class Sections {
  readonly #source: ByteSource;
  readonly #bigEndian: boolean;
  readonly #unpack: Unpack;

  constructor(source: ByteSource, bigEndian: boolean, unpack: Unpack) {
    this.#source = source;
    this.#bigEndian = bigEndian;
    this.#unpack = unpack;
  }

  header(offset: number): Section {
    const reader = this.reader(offset);
    const id = reader.u16();
    const isPacked = (reader.u16() & PACKED) !== 0;
    reader.skip(4);
    const size = reader.u64();
    return { id, isPacked, start: reader.at, size };
  }

  /** The content of a section that fits into memory. */
  content(section: Section): FieldReader {
    const { isPacked, start, size } = section;
    if (!isPacked) return new FieldReader(this.#source, this.#bigEndian, start, start + Math.min(size, MAX_SECTION));
    const reader = this.reader(start);
    const [packedSize, unpackedSize] = [reader.u32(), reader.u32()];
    if (packedSize > MAX_SECTION || unpackedSize > MAX_SECTION) throw new TraceDatDamage('a section that is too large');
    const unpacked = this.#unpack(reader.bytes(packedSize), unpackedSize);
    if (unpacked === undefined) throw new TraceDatDamage('a section that cannot be unpacked');
    return new FieldReader(bytesInMemory(unpacked), this.#bigEndian);
  }

  reader(offset: number): FieldReader {
    return new FieldReader(this.#source, this.#bigEndian, offset);
  }
}

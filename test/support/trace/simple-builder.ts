/**
 * Writes simple traces as QEMU does. Written after trace/simple.c of QEMU 1.3 (version 2), 2.0 (3) and 7.2 (4), not
 * after our decoder.
 */

export type SimpleArgument = bigint | number | string;

export class SimpleBuilder {
  readonly version: number;
  readonly #parts: Buffer[] = [];

  constructor(version: number, options: { bigEndian?: boolean } = {}) {
    this.version = version;
    const header = u64s(0xffffffffffffffffn, 0xf2b177cb0aa429b4n, BigInt(version));
    if (options.bigEndian === true) header.swap64();
    this.#parts.push(header);
  }

  /** st_write_event_mapping. An event without a mapping (of a module loaded later) has no name. */
  mapping(id: number, name: string): this {
    const length = Buffer.alloc(4);
    length.writeUInt32LE(name.length);
    return this.raw(u64s(0n, BigInt(id)), length, Buffer.from(name, 'latin1'));
  }

  /** trace_record_start ... trace_record_finish. */
  event(id: number | bigint, timeNs: number | bigint, pid: number, ...args: readonly SimpleArgument[]): this {
    const body = Buffer.concat(args.map(argument));
    const sizes = Buffer.alloc(8);
    sizes.writeUInt32LE(24 + body.length);
    sizes.writeUInt32LE(pid, 4);
    if (this.version === 4) this.raw(u64s(1n));
    return this.raw(u64s(BigInt(id), BigInt(timeNs)), sizes, body);
  }

  /** The record that writeout_thread writes when the buffer was full. */
  dropped(timeNs: number | bigint, pid: number, count: bigint): this {
    return this.event(0xfffffffffffffffen, timeNs, pid, count);
  }

  raw(...bytes: readonly Uint8Array[]): this {
    for (const part of bytes) this.#parts.push(Buffer.from(part));
    return this;
  }

  get length(): number {
    return this.#parts.reduce((sum, part) => sum + part.length, 0);
  }

  build(): Buffer {
    return Buffer.concat(this.#parts);
  }
}

function argument(value: SimpleArgument): Buffer {
  if (typeof value !== 'string') return u64s(BigInt.asUintN(64, BigInt(value)));
  const text = Buffer.from(value, 'utf8');
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text]);
}

function u64s(...values: readonly bigint[]): Buffer {
  const bytes = Buffer.alloc(values.length * 8);
  for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(value, i * 8);
  return bytes;
}

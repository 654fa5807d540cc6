/**
 * One field of a record, bound to its place: offsets and sizes come from the format file of the kernel that wrote it.
 *
 * Nothing here checks bounds per field: a record reader asks {@link fieldsEnd} once and compares it with the record's
 * length before it reads.
 */
import type { EventFormat } from './event-format.js';

const TWO_32 = 0x100000000;

export interface RecordField {
  /** From the start of the record's payload. */
  readonly offset: number;
  /** 1, 2, 4 or 8 bytes. */
  readonly size: number;
  readonly littleEndian: boolean;
}

/** Bind a number field; undefined where this kernel's record has none of that name. */
export function bindField(format: EventFormat, name: string, bigEndian: boolean): RecordField | undefined {
  const field = format.fields.find((candidate) => candidate.name === name);
  if (field === undefined || field.isArray || ![1, 2, 4, 8].includes(field.size)) return undefined;
  return { offset: field.offset, size: field.size, littleEndian: !bigEndian };
}

/** Where the last of the fields ends: a record shorter than this can't be read. */
export function fieldsEnd(fields: readonly (RecordField | undefined)[]): number {
  return fields.reduce((end, field) => (field === undefined ? end : Math.max(end, field.offset + field.size)), 0);
}

/** As a number without sign. Exact to 2^53. The byte order is a constant on either way: as a variable it costs per read. */
export function readUnsigned(view: DataView, record: number, field: RecordField): number {
  const at = record + field.offset;
  if (!field.littleEndian) return readUnsignedBigEndian(view, at, field.size);
  if (field.size === 4) return view.getUint32(at, true);
  if (field.size === 8) return view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
  return field.size === 2 ? view.getUint16(at, true) : view.getUint8(at);
}

/** The low 32 bits (of smaller fields: all) with their sign: ids, errno, codes. A small integer in every case. */
export function readInt(view: DataView, record: number, field: RecordField): number {
  const at = record + field.offset;
  if (!field.littleEndian) return readIntBigEndian(view, at, field.size);
  if (field.size === 4 || field.size === 8) return view.getInt32(at, true);
  return field.size === 2 ? view.getInt16(at, true) : view.getInt8(at);
}

function readUnsignedBigEndian(view: DataView, at: number, size: number): number {
  if (size === 4) return view.getUint32(at, false);
  if (size === 8) return view.getUint32(at, false) * TWO_32 + view.getUint32(at + 4, false);
  return size === 2 ? view.getUint16(at, false) : view.getUint8(at);
}

function readIntBigEndian(view: DataView, at: number, size: number): number {
  if (size === 4) return view.getInt32(at, false);
  if (size === 8) return view.getInt32(at + 4, false);
  return size === 2 ? view.getInt16(at, false) : view.getInt8(at);
}

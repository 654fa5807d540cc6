import type { EventFormat } from './event-format.js';

const TWO_32 = 0x100000000;

/**
 * The place of a field in a record, taken from the format file of the kernel that wrote it. Reading a field does not
 * check bounds; a record's length is compared with {@link fieldsEnd} once before its fields are read.
 */
export interface RecordField {
  /** In bytes from the start of the record's payload. */
  readonly offset: number;
  /** 1, 2, 4 or 8 bytes. */
  readonly size: number;
  readonly littleEndian: boolean;
}

/** Binds a field that holds a number; undefined if the records of this kernel have no such field. */
export function bindField(format: EventFormat, name: string, bigEndian: boolean): RecordField | undefined {
  const field = format.fields.find((candidate) => candidate.name === name);
  if (field === undefined || field.isArray || ![1, 2, 4, 8].includes(field.size)) return undefined;
  return { offset: field.offset, size: field.size, littleEndian: !bigEndian };
}

/** The end of the last of the fields: the length that a record must have to be read. */
export function fieldsEnd(fields: readonly (RecordField | undefined)[]): number {
  return fields.reduce((end, field) => (field === undefined ? end : Math.max(end, field.offset + field.size)), 0);
}

/**
 * Reads a field as an unsigned number, exact to 2^53. Each branch passes the byte order as a constant, because as a
 * variable it makes every read slower.
 */
export function readUnsigned(view: DataView, record: number, field: RecordField): number {
  const at = record + field.offset;
  if (!field.littleEndian) return readUnsignedBigEndian(view, at, field.size);
  if (field.size === 4) return view.getUint32(at, true);
  if (field.size === 8) return view.getUint32(at + 4, true) * TWO_32 + view.getUint32(at, true);
  return field.size === 2 ? view.getUint16(at, true) : view.getUint8(at);
}

/** Reads the low 32 bits of a field as a signed number, for ids, errno and codes. V8 keeps these unboxed. */
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

/**
 * The kernel's description of its own records: tracefs `events/<system>/<event>/format` and `events/header_page`.
 *
 *   name: kvm_entry
 *   ID: 115
 *   format:
 *   	field:unsigned short common_type;	offset:0;	size:2;	signed:0;
 *   	field:int common_pid;	offset:4;	size:4;	signed:1;
 *
 *   	field:unsigned int vcpu_id;	offset:8;	size:4;	signed:0;
 *   	field:__data_loc char[] name;	offset:12;	size:4;	signed:0;
 *
 *   print fmt: "vcpu %u, rip 0x%lx", REC->vcpu_id, REC->rip
 *
 *   header_page:
 *   	field: u64 timestamp;	offset:0;	size:8;	signed:0;
 *   	field: local_t commit;	offset:8;	size:8;	signed:1;     (4 bytes on a 32-bit kernel, data then at 12)
 *   	field: int overwrite;	offset:8;	size:1;	signed:1;     (part of commit; absent before 2.6.35)
 *   	field: char data;	offset:16;	size:4080;	signed:0;   (6.8+: depends on the current sub-buffer size)
 *
 * Source: f_show() in kernel/trace/trace_events.c and ring_buffer_print_page_header() in kernel/trace/ring_buffer.c,
 * the same from Linux 2.6.32 to 6.18. IDs, offsets, sizes and the set of fields differ from kernel to kernel. Not used:
 * header_event, as its bits have been the same since 2.6.30.
 */

export interface EventField {
  readonly name: string;
  readonly offset: number;
  /** In bytes; 0 if the field extends to the end of the record (`char buf[]`). */
  readonly size: number;
  readonly isArray: boolean;
}

export interface EventFormat {
  readonly name: string;
  /** The value of `common_type` in the event's records. */
  readonly id: number;
  readonly fields: readonly EventField[];
  /** The text behind `print fmt: `, '' if the file has none. */
  readonly printFmt: string;
}

/** Layout of a page (sub-buffer) as one read of `trace_pipe_raw` returns it. */
export interface PageHeader {
  readonly timestampOffset: number;
  readonly commitOffset: number;
  /** 8, or 4 on a 32-bit kernel. */
  readonly commitSize: 4 | 8;
  readonly dataOffset: number;
  /** In bytes, header and data. */
  readonly pageSize: number;
}

/** Result of a parser for a text that it does not understand. */
export interface FormatProblem {
  /** The message to show. */
  readonly problem: string;
}

/** Everything that a page decoder has to know about the kernel that wrote the pages. */
export interface EventFormats {
  readonly pageHeader: PageHeader;
  readonly events: readonly EventFormat[];
  /** Byte order of the machine that wrote the pages; s390 is big-endian. No file of tracefs contains it. */
  readonly bigEndian: boolean;
}

const WORD = /\w/;
const FIELD = /^\s*field:([^;]+);\s*offset:\s*(\d+);\s*size:\s*(\d+);(?:\s*signed:\s*\d+;)?\s*$/;
/** More than the length of any format file, which has a few pages of 4096 bytes. */
const MAX_LENGTH = 1 << 20;
/** `common_type` has 16 bits. */
const MAX_ID = 0xffff;
/** The largest sub-buffer: 128 pages of 64 KiB. No field lies outside one. */
const MAX_OFFSET = 1 << 23;
const MAX_DECLARATION_LENGTH = 200;

/** Parses an event's `format` file. */
export function parseEventFormat(text: string): EventFormat | FormatProblem {
  if (text.length > MAX_LENGTH) return { problem: `event format: ${text.length} characters, more than ${MAX_LENGTH}` };
  const name = /^name:[ \t]*(\S+)[ \t\r]*$/m.exec(text)?.[1];
  if (name === undefined) return { problem: 'event format: no "name:" line' };
  const id = Number(/^ID:[ \t]*(\d+)[ \t\r]*$/m.exec(text)?.[1]);
  if (!(id <= MAX_ID)) return { problem: `event format of ${name}: no "ID:" line with a number up to ${MAX_ID}` };
  const fields = parseFields(text);
  if ('problem' in fields) return { problem: `event format of ${name}: ${fields.problem}` };
  if (fields.length === 0) return { problem: `event format of ${name}: no fields` };
  const printFmt = /^print fmt:[ \t]*(.*)$/m.exec(text)?.[1] ?? '';
  return { name, id, fields, printFmt };
}

/** Parses `events/header_page`. */
export function parsePageHeader(text: string): PageHeader | FormatProblem {
  if (text.length > MAX_LENGTH) return { problem: `header_page: ${text.length} characters, more than ${MAX_LENGTH}` };
  const fields = parseFields(text);
  if ('problem' in fields) return { problem: `header_page: ${fields.problem}` };
  const timestamp = findField(fields, 'timestamp');
  const commit = findField(fields, 'commit');
  const data = findField(fields, 'data');
  if (timestamp === undefined || commit === undefined || data === undefined) {
    return { problem: 'header_page: needs the fields timestamp, commit and data' };
  }
  if (timestamp.size !== 8) return { problem: `header_page: timestamp has ${timestamp.size} bytes, not 8` };
  if (commit.size !== 8 && commit.size !== 4)
    return { problem: `header_page: commit has ${commit.size} bytes, not 8 or 4` };
  if (data.offset < Math.max(timestamp.offset + 8, commit.offset + commit.size) || data.offset % 4 !== 0) {
    return { problem: `header_page: data at ${data.offset} overlaps the header or is not aligned` };
  }
  if (data.size === 0) return { problem: 'header_page: data has no size' };
  return {
    timestampOffset: timestamp.offset,
    commitOffset: commit.offset,
    commitSize: commit.size,
    dataOffset: data.offset,
    pageSize: data.offset + data.size,
  };
}

/**
 * Parses the texts of header_page and of the format files of events. A format file that is not understood is left out
 * and reported in `problems`; a header_page that is not understood is a problem as a whole.
 */
export function readEventFormats(
  headerPage: string,
  formats: Iterable<string>,
  bigEndian = false,
): { readonly formats: EventFormats; readonly problems: readonly string[] } | FormatProblem {
  const pageHeader = parsePageHeader(headerPage);
  if ('problem' in pageHeader) return pageHeader;
  const events: EventFormat[] = [];
  const problems: string[] = [];
  for (const text of formats) {
    const event = parseEventFormat(text);
    if ('problem' in event) problems.push(event.problem);
    else events.push(event);
  }
  return { formats: { pageHeader, events, bigEndian }, problems };
}

function findField(fields: readonly EventField[], name: string): EventField | undefined {
  return fields.find((field) => field.name === name);
}

function parseFields(text: string): EventField[] | FormatProblem {
  const fields: EventField[] = [];
  for (const line of text.split('\n')) {
    if (line.startsWith('print fmt:')) break;
    if (!/^\s*field:/.test(line)) continue;
    const field = parseField(line);
    if (field === undefined) return { problem: `cannot read the line "${line.trim().slice(0, 100)}"` };
    if (field.offset + field.size > MAX_OFFSET) return { problem: `field ${field.name} ends outside of any record` };
    fields.push(field);
  }
  return fields;
}

function parseField(line: string): EventField | undefined {
  const match = FIELD.exec(line);
  const text = match?.[1]?.trim() ?? '';
  if (match === null || text.length > MAX_DECLARATION_LENGTH) return undefined;
  const brackets = text.endsWith(']') ? text.lastIndexOf('[') : -1;
  const declared = brackets < 0 ? text : text.slice(0, brackets).trimEnd();
  let nameStart = declared.length;
  while (nameStart > 0 && WORD.test(declared[nameStart - 1] as string)) nameStart--;
  if (nameStart === declared.length) return undefined;
  return {
    name: declared.slice(nameStart),
    offset: Number(match[2]),
    size: Number(match[3]),
    isArray: brackets >= 0 || declared.slice(0, nameStart).trimEnd().endsWith('[]'),
  };
}

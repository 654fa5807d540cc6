import { AgentError } from '../../../system/errors.js';
import { FTRACE_TEXT } from './ftrace-text.js';
import { PERF_DATA, PERF_PIPE } from './perf-data.js';
import { QEMU_LOG } from './qemu-log.js';
import { QEMU_SIMPLE } from './qemu-simple.js';
import type { PageFormat, RecordingFormat, UnreadableFormat } from './recording-format.js';
import { TRACE_DAT } from './trace-dat.js';

/** Every format of recording files, in the order in which a file is compared with them. */
const ALL_FORMATS: readonly (UnreadableFormat | PageFormat | RecordingFormat)[] = [
  { magic: '2ELIFREP', advice: 'a perf.data of a big-endian host; give the text that `perf script` prints' },
  { magic: 'PERFFILE', advice: 'a perf.data of a perf before 3.5; give the text that `perf script` prints' },
  { magic: '\xfd7zXZ\0', advice: 'packed with xz, which Node.js cannot unpack; unpack it first: xz -dk' },
  { magic: 'BZh', advice: 'packed with bzip2; unpack it first: bzip2 -dk' },
  { magic: 'PK\x03\x04', advice: 'a zip archive; unpack it first' },
  { magic: '\x7fELF', advice: 'a program, not a recording' },
  TRACE_DAT,
  PERF_PIPE,
  PERF_DATA,
  QEMU_SIMPLE,
  FTRACE_TEXT,
  QEMU_LOG,
];

/**
 * The format of a file that begins with `head`.
 * @throws AgentError if the format is unknown or cannot be read
 */
export function formatOf(path: string, head: Uint8Array): PageFormat | RecordingFormat {
  const start = Buffer.from(head.subarray(0, 16)).toString('latin1');
  const format = ALL_FORMATS.find((known) => ('magic' in known ? start.startsWith(known.magic) : known.matches(head)));
  if (format === undefined) throw new AgentError(`${path}: unknown format; expected ${readableFormats()}`);
  if ('magic' in format) throw new AgentError(`${path}: ${format.advice}`);
  return format;
}

function readableFormats(): string {
  const names = ALL_FORMATS.flatMap((format) => ('name' in format ? [format.name] : []));
  return `${names.slice(0, -1).join(', ')}, or ${names.at(-1)}, plain or packed`;
}

import { FTRACE_TEXT } from './ftrace-text.js';
import { PERF_DATA, PERF_PIPE } from './perf-data.js';
import { QEMU_LOG } from './qemu-log.js';
import { QEMU_SIMPLE } from './qemu-simple.js';
import type { BinaryFormat, PageFormat, TextFormat } from './recording-format.js';
import { SIMPLETRACE_TEXT } from './simpletrace-text.js';
import { TRACE_DAT } from './trace-dat.js';

/** In the order in which a file is compared with them. */
export const BINARY_FORMATS: readonly (PageFormat | BinaryFormat)[] = [TRACE_DAT, PERF_PIPE, PERF_DATA, QEMU_SIMPLE];

/** A file is of the format of which it has the first event. */
export const TEXT_FORMATS: readonly TextFormat[] = [FTRACE_TEXT, SIMPLETRACE_TEXT, QEMU_LOG];

/** What a file may be, in words for the user. */
export function readableFormats(): string {
  const names = [...BINARY_FORMATS, ...TEXT_FORMATS].map(({ name }) => name);
  return `${names.slice(0, -1).join(', ')}, or ${names.at(-1)}, plain or packed`;
}

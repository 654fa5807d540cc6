/** Saves the files of tracefs that are needed to decode pages on another machine. */
import { endianness } from 'node:os';
import { join } from 'node:path';
import { saveFile, tryListFolder, tryReadBytes } from '../../system/files.js';
import { BYTE_ORDER_FILE } from '../tracefs/format-files.js';

/** Files of the instance. (Its header_page shows the size of its sub-buffers.) */
const INSTANCE_FILES = [
  'events/header_page',
  'events/header_event',
  'trace_clock',
  'timestamp_mode',
  'buffer_size_kb',
  'buffer_subbuf_size_kb',
];

/**
 * What the kernel remembers of threads, for all instances together. saved_tgids is empty unless another program has
 * switched record-tgid on. The agent does not: the option, even when set in an instance, applies to all instances.
 */
const THREAD_FILES = ['saved_cmdlines', 'saved_tgids'];

/**
 * Call it before pages are written, so that they can be decoded even if the capture is cut short. `events`:
 * `system:name`.
 */
export function captureFormats(instance: string, events: readonly string[], target: string): void {
  for (const file of INSTANCE_FILES) copy(instance, file, target);
  saveFile(join(target, BYTE_ORDER_FILE), `${endianness()}\n`);
  const formats = new Set(['ftrace/print', ...events.map((event) => event.replace(':', '/'))]);
  for (const event of tryListFolder(join(instance, 'events/kvm'))) formats.add(`kvm/${event}`);
  for (const event of formats) copy(instance, `events/${event}/format`, target);
}

/** Call it at the end of the capture. */
export function captureThreadNames(tracefs: string, target: string): void {
  for (const file of THREAD_FILES) copy(tracefs, file, target);
}

/** Leaves out a file that the kernel does not have, or no longer has. */
function copy(root: string, file: string, target: string): void {
  const content = tryReadBytes(join(root, file));
  if (content !== undefined) saveFile(join(target, file), content);
}

/** Saves from tracefs what it takes to read pages elsewhere: formats, clock, sub-buffer size, names of threads. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { dirname, join } from 'node:path';
import { fileError } from '../../system/errors.js';
import { BYTE_ORDER_FILE } from '../tracefs/format-files.js';

/** The instance's own: header_page tells its sub-buffers' size. */
const OF_INSTANCE = [
  'events/header_page',
  'events/header_event',
  'trace_clock',
  'timestamp_mode',
  'buffer_size_kb',
  'buffer_subbuf_size_kb',
];

/**
 * What the kernel notes of threads, for all instances together. saved_tgids is empty unless somebody else has switched record-tgid on:
 * that option, even when set in an instance, acts on all of them, so we leave it alone.
 */
const OF_HOST = ['saved_cmdlines', 'saved_tgids'];

/** To be called before pages are written, so that they can be read whatever happens then. `events`: `system:name`. */
export function saveFormats(instance: string, events: readonly string[], target: string): void {
  for (const file of OF_INSTANCE) copy(instance, file, target);
  save(join(target, BYTE_ORDER_FILE), `${endianness()}\n`);
  const formats = new Set(['ftrace/print', ...events.map((event) => event.replace(':', '/'))]);
  for (const event of readdirSync(join(instance, 'events/kvm'))) formats.add(`kvm/${event}`);
  for (const event of formats) copy(instance, `events/${event}/format`, target);
}

/** To be called at the end. */
export function saveThreadNames(tracefs: string, target: string): void {
  for (const file of OF_HOST) copy(tracefs, file, target);
}

/** What the kernel does not have, or not any more, is left out. */
function copy(root: string, file: string, target: string): void {
  let content: Buffer;
  try {
    content = readFileSync(join(root, file));
  } catch {
    return;
  }
  save(join(target, file), content);
}

function save(path: string, content: string | Buffer): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, content);
  } catch (error) {
    throw fileError(path, error);
  }
}

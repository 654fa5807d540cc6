import { readdirSync, readFileSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { type EventFormats, readEventFormats } from '../../decode/format/event-format.js';
import { AgentError, fileError } from '../../system/errors.js';

/** Systems whose events we decode: KVM's own, and ftrace's `print`, which QEMU's markers are. */
const SYSTEMS: readonly string[] = ['kvm', 'ftrace'];

export type ByteOrder = 'BE' | 'LE';

/** A file of our own beside the copies of tracefs, which does not say it: `BE` or `LE`. */
export const BYTE_ORDER = 'byte_order';

/** The systems of these events (`sched:sched_switch`), and those that are always read. */
export function systemsOf(events: readonly string[]): string[] {
  return [...new Set([...SYSTEMS, ...events.map((event) => event.split(':')[0] ?? '')])];
}

/**
 * The formats of a kernel's events, from tracefs or a saved copy of it.
 * @param systems whose events may be in the buffers; those that we do not decode are counted by name
 * @param order of the machine that records; in a saved copy as {@link BYTE_ORDER} says
 * @throws AgentError where there are none, or of a kernel that can't be decoded
 */
export function readFormats(tracefs: string, systems = SYSTEMS, order: ByteOrder = endianness()): EventFormats {
  const events = join(tracefs, 'events');
  const texts = systems.flatMap((system) =>
    folders(join(events, system)).flatMap((event) => readIfThere(join(events, system, event, 'format'))),
  );
  const [headerPage] = readIfThere(join(events, 'header_page'));
  if (headerPage === undefined)
    throw new AgentError(`${events}: no header_page there; expected tracefs or a saved copy of its events/`);
  const read = readEventFormats(headerPage, texts, order === 'BE');
  if ('problem' in read) throw new AgentError(`${events}: ${read.problem}`);
  return read.formats;
}

/** Of a saved copy. Little where nobody has noted it: only s390 is big. */
export function savedByteOrder(tracefs: string): ByteOrder {
  return readIfThere(join(tracefs, BYTE_ORDER))[0]?.trim() === 'BE' ? 'BE' : 'LE';
}

/** All systems that a saved copy has. (A live tracefs has some hundred.) */
export function systemsIn(tracefs: string): string[] {
  return folders(join(tracefs, 'events'));
}

/** Names of the kvm tracepoints; none where the kvm module is not loaded. */
export function kvmEvents(tracefs: string): string[] {
  return eventNames(tracefs, 'kvm');
}

/** Names of a system's tracepoints. */
export function eventNames(tracefs: string, system: string): string[] {
  return folders(join(tracefs, 'events', system));
}

function folders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return [];
    throw fileError(path, error);
  }
}

/** Events vanish with the module that has them. */
function readIfThere(path: string): string[] {
  try {
    return [readFileSync(path, 'utf8')];
  } catch {
    return [];
  }
}

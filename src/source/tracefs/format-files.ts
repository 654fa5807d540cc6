import { readdirSync } from 'node:fs';
import { endianness } from 'node:os';
import { join } from 'node:path';
import { type EventFormats, readEventFormats } from '../../decode/format/event-format.js';
import { AgentError, fileError, isGone } from '../../system/errors.js';
import { tryReadText } from '../../system/files.js';

/** Systems whose events are decoded: KVM's own, and ftrace's `print`, which QEMU's markers are. */
const SYSTEMS: readonly string[] = ['kvm', 'ftrace'];

export type ByteOrder = 'BE' | 'LE';

/** A file that `record` adds to its copy of tracefs, which does not say the byte order: `BE` or `LE`. */
const BYTE_ORDER_FILE = 'byte_order';

/** The systems of these events (`sched:sched_switch`), and those that are always read. */
export function systemsOf(events: readonly string[]): string[] {
  return [...new Set([...SYSTEMS, ...events.map((event) => event.split(':')[0] ?? '')])];
}

/**
 * Reads the formats of a kernel's events from tracefs or a saved copy of it.
 * @param systems whose events may be in the buffers; events that are not decoded are counted by name
 * @param order byte order of the recorded machine; for a saved copy see {@link savedByteOrder}
 * @throws AgentError if there are no formats, or none that can be decoded
 */
export function readFormats(tracefs: string, systems = SYSTEMS, order: ByteOrder = endianness()): EventFormats {
  const events = join(tracefs, 'events');
  const texts = systems.flatMap((system) =>
    // The format of an event goes when its module is unloaded.
    eventNames(tracefs, system).flatMap((event) => tryReadText(join(events, system, event, 'format')) ?? []),
  );
  const headerPage = tryReadText(join(events, 'header_page'));
  if (headerPage === undefined)
    throw new AgentError(`${events}: no header_page there; expected tracefs or a saved copy of its events/`);
  const read = readEventFormats(headerPage, texts, order === 'BE');
  if ('problem' in read) throw new AgentError(`${events}: ${read.problem}`);
  return read.formats;
}

/**
 * Byte order of the machine that a copy of tracefs is from. Little-endian if it was not saved: only s390 is big-endian.
 */
export function savedByteOrder(tracefs: string): ByteOrder {
  return tryReadText(join(tracefs, BYTE_ORDER_FILE))?.trim() === 'BE' ? 'BE' : 'LE';
}

/** Names of all systems in a saved copy. (A live tracefs has about a hundred.) */
export function systemsIn(tracefs: string): string[] {
  return subfolders(join(tracefs, 'events'));
}

/** Names of the kvm tracepoints; none if the kvm module is not loaded. */
export function kvmEvents(tracefs: string): string[] {
  return eventNames(tracefs, 'kvm');
}

/** Names of a system's tracepoints. */
export function eventNames(tracefs: string, system: string): string[] {
  return subfolders(join(tracefs, 'events', system));
}

/** None if the folder does not exist. @throws AgentError if it cannot be read */
function subfolders(path: string): string[] {
  try {
    return readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
  } catch (error) {
    if (isGone(error)) return [];
    throw fileError(path, error);
  }
}

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, fileError } from '../agent-error.js';
import { type EventFormats, readEventFormats } from '../decode/event-format.js';

/** Systems whose events we decode: KVM's own, and ftrace's `print`, which QEMU's markers are. */
const SYSTEMS = ['kvm', 'ftrace'];

/**
 * The formats of a kernel's events, from tracefs or a saved copy of it.
 * @throws AgentError where there are none, or of a kernel that can't be decoded
 */
export function readFormats(tracefs: string): EventFormats {
  const events = join(tracefs, 'events');
  const texts = SYSTEMS.flatMap((system) =>
    folders(join(events, system)).flatMap((event) => readIfThere(join(events, system, event, 'format'))),
  );
  const [headerPage] = readIfThere(join(events, 'header_page'));
  if (headerPage === undefined)
    throw new AgentError(`${events}: no header_page there; expected tracefs or a saved copy of its events/`);
  const read = readEventFormats(headerPage, texts);
  if ('problem' in read) throw new AgentError(`${events}: ${read.problem}`);
  return read.formats;
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

import { readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseTraceEvents, type TraceEvents } from '../../decode/qemu/trace-events.js';
import { readText } from '../../system/files.js';
import { tryReadRegularFile } from '../../system/regular-file.js';

/** Folders of QEMU's data files, for processes whose program cannot be located. */
const DATA_FOLDERS = ['/usr/share/qemu', '/usr/local/share/qemu', '/usr/share/qemu-kvm', '/opt/qemu/share/qemu'];

/** @throws AgentError if the file cannot be read */
export function readTraceEvents(path: string): TraceEvents {
  return parseTraceEvents(readText(path));
}

/** Bytes. The list of QEMU 10 has half a megabyte. */
const MAX_LENGTH = 1 << 22;

export interface FoundTraceEvents {
  readonly path: string;
  readonly traceEvents: TraceEvents;
}

/**
 * The trace-events-all that was installed with the QEMU of a process: beside its program, in the mount
 * namespace of the process; else in a folder of this host. Undefined if there is none.
 */
export function findTraceEvents(procfs: string, pid: number | undefined): FoundTraceEvents | undefined {
  return readFirst(pid === undefined ? DATA_FILES : [...besideProgram(procfs, pid), ...DATA_FILES]);
}

/** The trace-events-all of this host's QEMU. Undefined if there is none. */
export function hostTraceEvents(): TraceEvents | undefined {
  return readFirst(DATA_FILES)?.traceEvents;
}

/** A path and the folder below which it must not leave. */
interface Place {
  readonly root: string;
  readonly path: string;
}

const DATA_FILES: readonly Place[] = DATA_FOLDERS.map((root) => ({ root, path: '.' }));

function readFirst(places: readonly Place[]): FoundTraceEvents | undefined {
  for (const { root, path } of places) {
    // The process can put anything at its path: a pipe, a device, a link to a file of this host.
    const parts = join(path, 'trace-events-all')
      .split('/')
      .filter((part) => part !== '');
    const text = tryReadRegularFile(root, parts, MAX_LENGTH);
    if (text !== undefined) return { path: join(root, ...parts), traceEvents: parseTraceEvents(text) };
  }
  return undefined;
}

function besideProgram(procfs: string, pid: number): Place[] {
  try {
    const folder = join(procfs, String(pid));
    const program = readlinkSync(join(folder, 'exe'));
    return [{ root: join(folder, 'root'), path: join(dirname(program), '../share/qemu') }];
  } catch {
    return [];
  }
}

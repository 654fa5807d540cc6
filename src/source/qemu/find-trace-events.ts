import { existsSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseTraceEvents, type TraceEvents } from '../../decode/qemu/trace-events.js';
import { readText } from '../../system/files.js';

/** Folders of QEMU's data files, for processes whose program cannot be located. */
const DATA_FOLDERS = ['/usr/share/qemu', '/usr/local/share/qemu', '/usr/share/qemu-kvm', '/opt/qemu/share/qemu'];

/** @throws AgentError if the file cannot be read */
export function readTraceEvents(path: string): TraceEvents {
  return parseTraceEvents(readText(path));
}

/**
 * Path of the trace-events-all that was installed with the QEMU of a process: beside its program, in the mount
 * namespace of the process; else in a folder of this host. Undefined if there is none.
 */
export function findTraceEvents(procfs: string, pid: number | undefined): string | undefined {
  const beside = pid === undefined ? [] : besideProgram(procfs, pid);
  return [...beside, ...DATA_FOLDERS.map((folder) => join(folder, 'trace-events-all'))].find((path) =>
    existsSync(path),
  );
}

function besideProgram(procfs: string, pid: number): string[] {
  try {
    const folder = join(procfs, String(pid));
    const program = readlinkSync(join(folder, 'exe'));
    return [join(folder, 'root', dirname(program), '../share/qemu/trace-events-all')];
  } catch {
    return [];
  }
}

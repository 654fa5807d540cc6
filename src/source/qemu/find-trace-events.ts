import { existsSync, readFileSync, readlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseTraceEvents, type TraceEvents } from '../../decode/qemu/trace-events.js';
import { fileError } from '../../system/errors.js';

/** Where QEMU's data files are where its program is not to be seen. */
const DATA = ['/usr/share/qemu', '/usr/local/share/qemu', '/usr/share/qemu-kvm', '/opt/qemu/share/qemu'];

/** @throws AgentError where it can't be read */
export function readTraceEvents(path: string): TraceEvents {
  try {
    return parseTraceEvents(readFileSync(path, 'utf8'));
  } catch (error) {
    throw fileError(path, error);
  }
}

/**
 * The trace-events-all that was installed with the QEMU of a process: beside its program, as that process sees it, else
 * of this host.
 */
export function findTraceEvents(procfs: string, pid: number | undefined): string | undefined {
  const beside = pid === undefined ? [] : besideProgram(procfs, pid);
  return [...beside, ...DATA.map((folder) => join(folder, 'trace-events-all'))].find((path) => existsSync(path));
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

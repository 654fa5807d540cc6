/**
 * A directory of saved ring-buffer pages: what `record` writes, or what others saved by hand.
 *
 *   DIR/cpu0.raw  cpu1.raw.gz ...       reads of per_cpu/cpuN/trace_pipe_raw, one behind the other; also in DIR/raw/
 *   DIR/tracefs/                        or DIR/../tracefs, or --path.tracefs
 *     events/header_page, events/kvm/*\/format ...
 *     buffer_subbuf_size_kb             where sub-buffers are not one page of 4 KiB
 *     trace_clock                       `local [mono] boot`: whether times are nanoseconds
 *     byte_order                        `BE` where the machine is big-endian
 *     saved_cmdlines, saved_tgids       names and processes of threads
 *   DIR/proc/ or DIR/fixture/proc/      /proc of the VMs
 *   DIR/stats/cpuN                      per_cpu/cpuN/stats, for what was lost behind the last page
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { EventFormats } from '../../decode/format/event-format.js';
import { AgentError, fileError } from '../../system/errors.js';
import { readSavedOverruns } from '../tracefs/cpu-stats.js';
import { readFormats, savedByteOrder, systemsIn } from '../tracefs/format-files.js';
import { PAGE_FILE, type Packing } from './open-file.js';

export interface CpuFile {
  readonly cpu: number;
  readonly path: string;
  readonly size: number;
  readonly packing: Packing;
}

export interface PageRecording {
  readonly path: string;
  /** Bytes on disk, of all CPUs. */
  readonly size: number;
  readonly cpus: readonly CpuFile[];
  /** With the size of a sub-buffer as page size. */
  readonly formats: EventFormats;
  /** Whether the trace clock counted nanoseconds. */
  readonly clockNs: boolean;
  /** Where the formats are. */
  readonly tracefs: string;
  /** The saved /proc, where there is one. */
  readonly procfs: string | undefined;
  /** Events lost by CPU as the buffers' statistics say, where they were saved. */
  readonly overruns: ReadonlyMap<number, number>;
}

/** Clocks that count something else than nanoseconds (Documentation/trace/ftrace.rst, "trace_clock"). */
const OTHER_CLOCKS = ['counter', 'uptime', 'x86-tsc', 'ppc-tb'];

export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false; // whoever reads it says why
  }
}

/**
 * @param tracefs where the formats are, if not in the recording itself
 * @throws AgentError where there are no pages, or nothing that says how to read them
 */
export function openPages(path: string, tracefs: string | undefined): PageRecording {
  const cpus = [path, join(path, 'raw')].map(cpuFiles).find((files) => files.length > 0);
  if (cpus === undefined)
    throw new AgentError(
      `${path}: is a directory without pages (cpu0.raw, cpu1.raw.gz ...); else name the files in it`,
    );
  const saved = tracefs ?? [join(path, 'tracefs'), join(path, '../tracefs')].find(hasHeaderPage);
  if (saved === undefined)
    throw new AgentError(
      `${path}: no tracefs/events/ in it, which says how to read the pages; give a copy of that host's: --path.tracefs=DIR`,
    );
  const formats = readFormats(saved, systemsIn(saved), savedByteOrder(saved));
  const { pageHeader } = formats;
  if (formats.events.length === 0)
    throw new AgentError(`${saved}: no formats in its events/ (events/kvm/kvm_exit/format ...)`);
  return {
    path,
    size: cpus.reduce((sum, { size }) => sum + size, 0),
    cpus,
    formats: { ...formats, pageHeader: { ...pageHeader, pageSize: subBufferSize(saved) ?? pageHeader.pageSize } },
    clockNs: !OTHER_CLOCKS.includes(/\[([\w-]+)\]/.exec(readText(join(saved, 'trace_clock')))?.[1] ?? ''),
    tracefs: saved,
    procfs: [join(path, 'proc'), join(path, 'fixture/proc')].find(isDirectory),
    overruns: readSavedOverruns(path),
  };
}

/** In the order of their numbers; of a file that is there twice, the one that is not packed. */
function cpuFiles(folder: string): CpuFile[] {
  if (!isDirectory(folder)) return [];
  const files = new Map<number, CpuFile>();
  for (const name of readFolder(folder).sort()) {
    const [, number, packed] = PAGE_FILE.exec(name) ?? [];
    const cpu = Number(number ?? Number.NaN);
    if (Number.isNaN(cpu) || files.has(cpu)) continue;
    const path = join(folder, name);
    const packing = packed === 'gz' || packed === 'zst' ? packed : undefined;
    files.set(cpu, { cpu, path, size: sizeOf(path), packing });
  }
  return [...files.values()].sort((a, b) => a.cpu - b.cpu);
}

function sizeOf(path: string): number {
  try {
    return statSync(path).size;
  } catch (error) {
    throw fileError(path, error);
  }
}

function readFolder(path: string): string[] {
  try {
    return readdirSync(path);
  } catch (error) {
    throw fileError(path, error);
  }
}

function hasHeaderPage(tracefs: string): boolean {
  return existsSync(join(tracefs, 'events/header_page'));
}

function subBufferSize(tracefs: string): number | undefined {
  const kib = Number(readText(join(tracefs, 'buffer_subbuf_size_kb')));
  return Number.isInteger(kib) && kib > 0 && kib <= 1 << 20 ? kib * 1024 : undefined;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/**
 * A directory of saved ring-buffer pages, written by `record` or by hand.
 *
 *   DIR/cpu0.raw  cpu1.raw.gz ...       reads of per_cpu/cpuN/trace_pipe_raw, one after the other; also in DIR/raw/
 *   DIR/tracefs/                        or DIR/../tracefs, or --path.tracefs
 *     events/header_page, events/kvm/*\/format ...
 *     buffer_subbuf_size_kb             present if sub-buffers are not one page of 4 KiB
 *     trace_clock                       `local [mono] boot`: shows whether times are nanoseconds
 *     byte_order                        `BE` if the machine is big-endian
 *     saved_cmdlines, saved_tgids       names and processes of threads
 *   DIR/proc/ or DIR/fixture/proc/      /proc of the VMs
 *   DIR/stats/cpuN                      per_cpu/cpuN/stats: events lost after the last page
 */
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { EventFormats } from '../../decode/format/event-format.js';
import { AgentError, fileError } from '../../system/errors.js';
import { listFolder, tryReadText } from '../../system/files.js';
import { readSavedOverruns } from '../tracefs/cpu-stats.js';
import { readFormats, savedByteOrder, systemsIn } from '../tracefs/format-files.js';
import type { Packing } from './read-chunks.js';

/** The pages of one CPU in a directory: `cpu0.raw`, `cpu12.raw.gz`. */
export const PAGE_FILE = /^cpu(\d+)\.raw(?:\.(gz|zst))?$/;

export interface CpuFile {
  readonly cpu: number;
  readonly path: string;
  readonly size: number;
  readonly packing: Packing;
}

export interface PageDirectory {
  readonly path: string;
  /** Bytes on disk of all CPUs' pages. */
  readonly size: number;
  /** In ascending order of the CPUs' numbers. */
  readonly cpus: readonly CpuFile[];
  /** Formats of events; their page size is the size of a sub-buffer. */
  readonly formats: EventFormats;
  /** True if the trace clock counted nanoseconds. */
  readonly clockNs: boolean;
  /** The copy of tracefs that the formats were read from. */
  readonly tracefs: string;
  /** The saved /proc; undefined if there is none. */
  readonly procfs: string | undefined;
  /** Events lost by CPU, from the statistics of the buffers; empty if they were not saved. */
  readonly overruns: ReadonlyMap<number, number>;
}

/** Clocks that do not count nanoseconds (Documentation/trace/ftrace.rst, "trace_clock"). */
const OTHER_CLOCKS = ['counter', 'uptime', 'x86-tsc', 'ppc-tb'];
const MAX_SUB_BUFFER_KIB = 1 << 20;

/** False also if the path cannot be reached: then the code that reads it reports the reason. */
export function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/**
 * @param tracefs a copy of the host's tracefs; undefined: the one in or beside the recording
 * @throws AgentError if there are no pages, or no formats to decode them by
 */
export function openPageDirectory(path: string, tracefs: string | undefined): PageDirectory {
  const cpus = [path, join(path, 'raw')].map(cpuFiles).find((files) => files.length > 0);
  if (cpus === undefined)
    throw new AgentError(
      `${path}: is a directory without pages (cpu0.raw, cpu1.raw.gz ...); to read other recordings in it, name the files`,
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
    clockNs: !OTHER_CLOCKS.includes(/\[([\w-]+)\]/.exec(tryReadText(join(saved, 'trace_clock')) ?? '')?.[1] ?? ''),
    tracefs: saved,
    procfs: [join(path, 'proc'), join(path, 'fixture/proc')].find(isDirectory),
    overruns: readSavedOverruns(path),
  };
}

/** In the order of the CPUs' numbers. If a CPU has several files, the unpacked one is taken. */
function cpuFiles(folder: string): CpuFile[] {
  if (!isDirectory(folder)) return [];
  const files = new Map<number, CpuFile>();
  for (const name of listFolder(folder).sort()) {
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

function hasHeaderPage(tracefs: string): boolean {
  return existsSync(join(tracefs, 'events/header_page'));
}

/** Bytes; undefined if it was not saved or is absurd. */
function subBufferSize(tracefs: string): number | undefined {
  const kib = Number(tryReadText(join(tracefs, 'buffer_subbuf_size_kb')));
  return Number.isInteger(kib) && kib > 0 && kib <= MAX_SUB_BUFFER_KIB ? kib * 1024 : undefined;
}

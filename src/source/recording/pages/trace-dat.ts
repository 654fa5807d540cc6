/** Opens a trace.dat of trace-cmd, and reads its pages. What is where in the file: src/decode/trace-dat. */
import { inflateSync } from 'node:zlib';
import type { EventFormats } from '../../../decode/format/event-format.js';
import { readTraceDat, type TraceDat, type TraceDatBuffer, type Unpack } from '../../../decode/trace-dat/trace-dat.js';
import { ZstdUnpacker } from '../../../decode/zstd/zstd-unpacker.js';
import { AgentError } from '../../../system/errors.js';
import { openBytes } from './file-bytes.js';
import { type CpuFile, leftoverFiles, pagesOf, totalSize } from './page-files.js';
import { type MergedPages, nsPerTickOf, type PageRecording } from './page-recording.js';
import type { Packing } from './read-chunks.js';
import { readSavedFormats } from './saved-formats.js';
import { parseSavedThreads } from './saved-threads.js';
import { sharedExitEvents } from './shared-events.js';
import { TraceDatPages } from './trace-dat-pages.js';

/** How sections and pages are unpacked, by the name of the compression. */
export const UNPACKERS: ReadonlyMap<string, Unpack> = new Map([
  ['zstd', unpackZstd(new ZstdUnpacker())],
  ['zlib', unpackZlib],
]);

/** How `record` signs its files. It watches its buffers, so their statistics are all there is to know about losses. */
const OUR_FILES = 'kvm-exit-exporter ';

/**
 * @param tracefs a copy of the host's tracefs, for a file whose formats are damaged
 * @throws AgentError if nothing of the file can be counted
 */
export async function openTraceDat(
  path: string,
  packing: Packing,
  tracefs: string | undefined,
): Promise<PageRecording> {
  const bytes = await openBytes(path, packing);
  const file = readTraceDat(bytes, UNPACKERS);
  bytes.close();
  if ('problem' in file) throw new AgentError(`${path}: ${file.problem}`);
  const unpack = UNPACKERS.get(file.compression) ?? (() => undefined);
  const pages = new TraceDatPages(path, bytes, file, unpack);
  const formats = file.formats ?? otherFormats(path, file, tracefs);
  const shared = await sharedEvents(file, new TraceDatPages(path, bytes, file, unpack), formats);
  const leftovers = file.buffers.every(({ cpus }) => cpus.length === 0) ? leftoverFiles(path) : [];
  const unfinished = leftovers.length > 0 ? ['was not finished; its pages are in files beside it'] : [];
  return {
    path,
    size: leftovers.length > 0 ? totalSize(leftovers) : bytes.size,
    formats,
    buffers: leftovers.length > 0 ? leftoverPages(leftovers, file) : buffersByClock(file, pages),
    savedThreads: parseSavedThreads(file.savedCmdlines),
    procfs: undefined,
    kvmDebugfs: undefined,
    notes: file.notes,
    overruns: file.overruns,
    overrunsFillGaps: file.writer.startsWith(OUR_FILES),
    warnings() {
      const damage = [...file.warnings, ...unfinished, ...pages.warnings()];
      const lines = [...damage, ...shared].map((warning) => `${path}: ${warning}`);
      return { lines, coverCut: damage.length > 0 };
    },
  };
}

/** A warning if exits may be counted twice. */
async function sharedEvents({ buffers }: TraceDat, pages: TraceDatPages, formats: EventFormats): Promise<string[]> {
  const filled = buffers.filter(({ cpus }) => cpus.length > 0);
  if (filled.length < 2) return [];
  const cpus = filled.map((buffer) => buffer.cpus.map((place) => pages.ofCpu(buffer, place)));
  const names = await sharedExitEvents(cpus, formats);
  if (names.length === 0) return [];
  return [
    `has ${names.join(' and ')} in several of its buffers; an exit that two of them recorded is counted twice; record each event in one buffer`,
  ];
}

/** The formats in `tracefs`. Fails with the reason if none is given. */
function otherFormats(path: string, { warnings }: TraceDat, tracefs: string | undefined): EventFormats {
  if (tracefs !== undefined) return readSavedFormats(tracefs);
  throw new AgentError(
    `${path}: ${warnings.join('; ')}; give the tracefs of that host, or a copy of it: --path.tracefs=DIR`,
  );
}

/** Buffers with the same clock are merged. */
function buffersByClock(file: TraceDat, pages: TraceDatPages): MergedPages[] {
  const clocks = new Map<string, TraceDatBuffer[]>();
  for (const buffer of file.buffers) clocks.set(buffer.clock, [...(clocks.get(buffer.clock) ?? []), buffer]);
  return Array.from(clocks, ([clock, buffers]) => ({
    nsPerTick: nsPerTickOf(clock, file.nsPerTick),
    cpus: buffers.flatMap((buffer) => buffer.cpus.map((place) => pages.ofCpu(buffer, place))),
  }));
}

/** The pages of a capture that was killed. */
function leftoverPages(files: readonly CpuFile[], { buffers, formats, nsPerTick }: TraceDat): MergedPages[] {
  const [{ clock = '', pageSize = 4096 } = {}] = buffers;
  const cpus = files.map((file) => pagesOf(file, pageSize || (formats?.pageHeader.pageSize ?? 4096)));
  return [{ nsPerTick: nsPerTickOf(clock, nsPerTick), cpus }];
}

function unpackZstd(unpacker: ZstdUnpacker): Unpack {
  return (packed, maxSize) => unpacker.unpack(packed, maxSize);
}

function unpackZlib(packed: Uint8Array, maxSize: number): Uint8Array | undefined {
  try {
    return inflateSync(packed, { maxOutputLength: Math.max(1, maxSize) });
  } catch {
    return undefined;
  }
}

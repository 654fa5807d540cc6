import type { EventFormats } from '../../../decode/format/event-format.js';
import type { ReadEnd } from './read-chunks.js';
import type { RecordingWarnings } from './recording-warnings.js';
import type { SavedThread } from './saved-threads.js';

/** Pages of the ring buffer of one CPU. */
export interface CpuPages {
  readonly cpu: number;
  /** Bytes of a page (sub-buffer). */
  readonly pageSize: number;
  /**
   * The pages in their order, in pieces of any size. Undefined for pages that are damaged; a whole page follows.
   * @param onRead called with the number of bytes read from disk since the last call
   */
  chunks(onRead: ((bytes: number) => void) | undefined): PageChunks;
}

export type PageChunks = AsyncGenerator<Uint8Array | undefined, ReadEnd> | Generator<Uint8Array | undefined, ReadEnd>;

/** Buffers that share a clock, so that their events can be put in order. */
export interface MergedPages {
  /** Nanoseconds of one tick of the clock; NaN if it does not count time. */
  readonly nsPerTick: number;
  readonly cpus: readonly CpuPages[];
}

/** A recording that consists of ring-buffer pages. */
export interface PageRecording {
  readonly path: string;
  /** Bytes on disk of all pages. */
  readonly size: number;
  readonly formats: EventFormats;
  /** One for each clock. */
  readonly buffers: readonly MergedPages[];
  /** Names and processes of threads, as the kernel noted them. */
  readonly savedThreads: readonly SavedThread[];
  /** The saved /proc; undefined if there is none. */
  readonly procfs: string | undefined;
  /** The saved `kvm` folder of debugfs, with KVM's statistics of each VM; undefined if there is none. */
  readonly kvmDebugfs: string | undefined;
  /** What `record` noted about VMs, one line of JSON each. */
  readonly notes: string;
  /** Events lost by CPU, from the statistics of the buffers; empty if they were not saved. */
  readonly overruns: ReadonlyMap<number, number>;
  /** True if the statistics stand for the gaps of unknown size too, false if gaps are shown as trace-cmd shows them. */
  readonly overrunsFillGaps: boolean;
  /** Complete after all pages were read. */
  warnings(): RecordingWarnings;
}

/** Clocks that do not count nanoseconds (Documentation/trace/ftrace.rst, "trace_clock"). */
const OTHER_CLOCKS = ['counter', 'uptime', 'x86-tsc', 'ppc-tb'];
/** The clock `x86-tsc`, in a file that also says how long a tick takes (trace-cmd record --tsc2nsec). */
const TSC_CLOCKS = ['x86-tsc', 'tsc2nsec'];

/**
 * Nanoseconds of one tick of a trace clock; NaN if it does not count time.
 * @param nsPerTscTick NaN if unknown
 */
export function nsPerTickOf(clock: string, nsPerTscTick = Number.NaN): number {
  if (TSC_CLOCKS.includes(clock)) return nsPerTscTick;
  return OTHER_CLOCKS.includes(clock) ? Number.NaN : 1;
}

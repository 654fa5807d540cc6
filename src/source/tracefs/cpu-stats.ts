/** The statistics of the ring buffer of each CPU. */
import { closeSync, openSync, readSync } from 'node:fs';
import { join } from 'node:path';
import { parseStats } from '../../decode/ftrace/buffer-stats.js';
import { tryListFolder, tryReadText } from '../../system/files.js';

/** Longer than a `stats` file, which has about 200 bytes. */
const MAX_BYTES = 1024;

/** The file `per_cpu/cpuN/stats`, kept open: reading it again takes a microsecond. */
export class CpuStats {
  /** Events that waited in the buffer when it was read; NaN if it could not be read. */
  waiting = Number.NaN;
  /** Events that were taken out of the buffer until then; NaN if it could not be read. */
  taken = Number.NaN;
  /** -1 if the file cannot be opened. */
  readonly #file: number;
  readonly #bytes = Buffer.allocUnsafe(MAX_BYTES);
  #text = '';

  /** @param folder the folder of the CPU */
  constructor(folder: string) {
    this.#file = tryOpen(join(folder, 'stats'));
  }

  read(): void {
    this.#text = this.#tryRead();
    this.waiting = Number(/^entries: (\d+)$/m.exec(this.#text)?.[1] ?? Number.NaN);
    this.taken = Number(/^read events: (\d+)$/m.exec(this.#text)?.[1] ?? Number.NaN);
  }

  /** Events that were overwritten or refused, by the last {@link read}; undefined if it failed. */
  get lost(): number | undefined {
    return this.#text === '' ? undefined : parseStats(this.#text).lost;
  }

  close(): void {
    if (this.#file >= 0) closeSync(this.#file);
  }

  #tryRead(): string {
    if (this.#file < 0) return '';
    try {
      return this.#bytes.toString('latin1', 0, readSync(this.#file, this.#bytes, 0, MAX_BYTES, 0));
    } catch {
      return '';
    }
  }
}

/**
 * Events lost on each CPU since the buffers were made. A CPU whose file cannot be read is left out. Of a CPU whose
 * buffer was empty when it was read last, this is what was lost until then. A CPU with several buffers has their sum.
 */
export function readLost(cpus: Iterable<readonly [cpu: number, stats: CpuStats]>): Map<number, number> {
  const lostByCpu = new Map<number, number>();
  for (const [cpu, stats] of cpus) {
    if (stats.waiting !== 0) stats.read();
    if (stats.lost !== undefined) lostByCpu.set(cpu, (lostByCpu.get(cpu) ?? 0) + stats.lost);
  }
  return lostByCpu;
}

/** The number of the CPU that a folder below `per_cpu` belongs to; NaN if the name is another one. */
export function cpuOf(folder: string): number {
  return Number(/^cpu(\d+)$/.exec(folder)?.[1] ?? Number.NaN);
}

/**
 * Events lost on each CPU as `record` (stats/cpuN) or a copy of tracefs (per_cpu/cpuN/stats) saved them; empty if
 * neither did.
 */
export function readSavedOverruns(recording: string): Map<number, number> {
  const recorded = lostByCpu(join(recording, 'stats'), '');
  const copied = lostByCpu(join(recording, 'per_cpu'), 'stats');
  return new Map([...copied, ...recorded]);
}

function lostByCpu(folder: string, file: string): Map<number, number> {
  const lost = new Map<number, number>();
  for (const name of tryListFolder(folder)) {
    const cpu = cpuOf(name);
    const stats = Number.isNaN(cpu) ? undefined : tryReadText(join(folder, name, file));
    if (stats !== undefined) lost.set(cpu, parseStats(stats).lost);
  }
  return lost;
}

function tryOpen(path: string): number {
  try {
    return openSync(path, 'r');
  } catch {
    return -1;
  }
}

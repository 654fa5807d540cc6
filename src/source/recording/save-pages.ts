/**
 * The ring buffers of all CPUs, saved as pages (sub-buffers) without decoding them: `DIR/cpuN.raw`.
 *
 * While events keep coming only full sub-buffers are taken: a read of one that is still being written delivers it as it is, and most of
 * it would be padding. How much waits is in `per_cpu/cpuN/stats`. What is left over is taken at the end.
 */
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileError } from '../../system/errors.js';
import { type CpuStats, parseStats } from '../tracefs/cpu-stats.js';
import { BufferFile } from '../tracefs/trace-reader.js';

export interface Recorded {
  readonly events: number;
  /** Of pages. */
  readonly bytes: number;
  /** Events that the kernel overwrote before they could be saved. */
  readonly lost: number;
}

interface CpuRecorder {
  readonly name: string;
  /** trace_pipe_raw. */
  readonly input: BufferFile;
  readonly output: number;
  readonly path: string;
}

/** Bytes of a page that are no events. */
const PAGE_HEADER = 16;
/** A buffer that stays unreadable though it says that it holds something. */
const MAX_EMPTY_READS = 100;

export class PageRecorder {
  readonly #instance: string;
  readonly #target: string;
  readonly #page: Buffer;
  readonly #cpus = new Map<string, CpuRecorder>();
  #bytes = 0;

  /** @throws AgentError where a buffer can't be opened or a file not be made; call {@link close} also then */
  constructor(instance: string, subBufferSize: number, target: string) {
    this.#instance = instance;
    this.#target = target;
    this.#page = Buffer.allocUnsafeSlow(subBufferSize);
  }

  /** CPUs can be plugged in. */
  openNewCpus(): void {
    for (const name of readdirSync(join(this.#instance, 'per_cpu'))) {
      if (!/^cpu\d+$/.test(name) || this.#cpus.has(name)) continue;
      const input = new BufferFile(join(this.#instance, 'per_cpu', name, 'trace_pipe_raw'));
      const path = join(this.#target, `${name}.raw`);
      try {
        this.#cpus.set(name, { name, input, path, output: openSync(path, 'wx', 0o600) });
      } catch (error) {
        input.close();
        throw fileError(path, error);
      }
    }
  }

  /** Saves the sub-buffers that are full. Returns how many bytes waited in the fullest buffer. */
  drain(): number {
    let most = 0;
    for (const cpu of this.#cpus.values()) {
      const { bytes } = this.#stats(cpu);
      most = Math.max(most, bytes);
      const full = Math.floor(bytes / (this.#page.length - PAGE_HEADER));
      for (let page = 0; page < full; page++) if (!this.#copyPage(cpu)) break;
    }
    return most;
  }

  /** Saves all that is there, and the statistics. Call it when nothing is recorded any more. */
  finish(): Recorded {
    let events = 0;
    let lost = 0;
    for (const cpu of this.#cpus.values()) {
      for (let empty = 0; empty < MAX_EMPTY_READS; ) {
        if (this.#copyPage(cpu)) continue;
        if (this.#stats(cpu).entries === 0) break;
        empty++;
      }
      const stats = this.#stats(cpu);
      events += stats.read;
      lost += stats.lost;
    }
    this.#saveStats();
    return { events, bytes: this.#bytes, lost };
  }

  close(): void {
    for (const { input, output } of this.#cpus.values()) {
      input.close();
      closeSync(output);
    }
    this.#cpus.clear();
  }

  /** False where there is nothing to read. */
  #copyPage({ input, output, path }: CpuRecorder): boolean {
    const length = input.read(this.#page);
    try {
      for (let at = 0; at < length; ) at += writeSync(output, this.#page, at, length - at);
    } catch (error) {
      throw fileError(path, error);
    }
    this.#bytes += length;
    return length > 0;
  }

  #stats({ name }: CpuRecorder): CpuStats {
    return parseStats(this.#statsText(name));
  }

  #statsText(name: string): string {
    const path = join(this.#instance, 'per_cpu', name, 'stats');
    try {
      return readFileSync(path, 'latin1');
    } catch (error) {
      throw fileError(path, error);
    }
  }

  #saveStats(): void {
    const folder = join(this.#target, 'stats');
    try {
      mkdirSync(folder);
      for (const { name } of this.#cpus.values()) writeFileSync(join(folder, name), this.#statsText(name));
    } catch (error) {
      throw fileError(folder, error);
    }
  }
}

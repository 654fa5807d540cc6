/**
 * Saves the ring buffers of all CPUs as pages (sub-buffers), without decoding them: `vm.dat.cpuN`.
 *
 * While events keep coming, only full sub-buffers are read: reading one that the kernel is still writing to returns it
 * as it is, and most of it would be padding. `per_cpu/cpuN/stats` shows how many bytes wait. The rest is read at the
 * end.
 */
import { closeSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { type BufferStats, parseStats } from '../../decode/ftrace/buffer-stats.js';
import { fileError } from '../../system/errors.js';
import { listFolder, readText } from '../../system/files.js';

import { BufferFile } from '../tracefs/trace-reader.js';
import { createOwnFile, type PageFile } from './capture-file.js';

export interface Captured {
  readonly events: number;
  /** Bytes of pages. */
  readonly bytes: number;
  /** Events that the kernel overwrote before they could be saved. */
  readonly lost: number;
}

interface CpuCapture extends PageFile {
  readonly cpu: number;
  readonly name: string;
  /** trace_pipe_raw */
  readonly input: BufferFile;
}

/** Bytes at the start of a page that hold no events. */
const PAGE_HEADER = 16;
/** Reads after which a buffer counts as empty although its statistics say that it holds events. */
const MAX_EMPTY_READS = 100;

export class PageCapture {
  readonly #instance: string;
  readonly #target: string;
  readonly #page: Buffer;
  readonly #cpus = new Map<string, CpuCapture>();
  #bytes = 0;

  /** Opens nothing yet: call {@link openNewCpus}. */
  constructor(instance: string, subBufferSize: number, target: string) {
    this.#instance = instance;
    this.#target = target;
    this.#page = Buffer.allocUnsafeSlow(subBufferSize);
  }

  /** @throws AgentError if a buffer cannot be opened or a file cannot be made; call {@link close} then too */
  openNewCpus(): void {
    for (const name of listFolder(join(this.#instance, 'per_cpu'))) {
      if (!/^cpu\d+$/.test(name) || this.#cpus.has(name)) continue;
      const input = new BufferFile(join(this.#instance, 'per_cpu', name, 'trace_pipe_raw'));
      const path = `${this.#target}.${name}`;
      try {
        this.#cpus.set(name, { cpu: Number(name.slice(3)), name, input, path, file: createOwnFile(path) });
      } catch (error) {
        input.close();
        throw error;
      }
    }
  }

  /** Saves the sub-buffers that are full. Returns the bytes that waited in the fullest buffer. */
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

  /** Saves all events that are left. Call it when tracing has stopped. */
  finish(): Captured {
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
    return { events, bytes: this.#bytes, lost };
  }

  /** The files with the pages, by number of the CPU. */
  files(): ReadonlyMap<number, PageFile> {
    return new Map(Array.from(this.#cpus.values(), (cpu) => [cpu.cpu, cpu]));
  }

  /** Texts of the buffers' own statistics, by number of the CPU. */
  stats(): ReadonlyMap<number, string> {
    return new Map(Array.from(this.#cpus.values(), ({ cpu, name }) => [cpu, this.#statsText(name)]));
  }

  close(): void {
    for (const { input, file } of this.#cpus.values()) {
      input.close();
      closeSync(file);
    }
    this.#cpus.clear();
  }

  /** False if there is nothing to read. */
  #copyPage({ input, file, path }: CpuCapture): boolean {
    const length = input.read(this.#page);
    try {
      for (let at = 0; at < length; ) at += writeSync(file, this.#page, at, length - at);
    } catch (error) {
      throw fileError(path, error);
    }
    this.#bytes += length;
    return length > 0;
  }

  #stats({ name }: CpuCapture): BufferStats {
    return parseStats(this.#statsText(name));
  }

  #statsText(name: string): string {
    return readText(join(this.#instance, 'per_cpu', name, 'stats'));
  }
}

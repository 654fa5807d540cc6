/** Finds the files of pages, one for each CPU. */
import { statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileError } from '../../../system/errors.js';
import { listFolder, tryListFolder } from '../../../system/files.js';
import type { CpuPages } from './page-recording.js';
import { type Packing, readChunks } from './read-chunks.js';

/** The pages of one CPU in a directory of pages: `cpu0.raw`, `cpu12.raw.gz`. */
export const PAGE_FILE = /^cpu(\d+)\.raw(?:\.(gz|zst))?$/;
/** The pages of one CPU that a recording leaves behind if it is killed: `trace.dat.cpu0`. */
const LEFTOVER = /^(.+)\.cpu(\d+)$/;

export interface CpuFile {
  readonly cpu: number;
  readonly path: string;
  readonly size: number;
  readonly packing: Packing;
}

/** In the order of the CPUs' numbers. If a CPU has several files, the unpacked one is taken. */
export function rawPageFiles(folder: string): CpuFile[] {
  const files = new Map<number, CpuFile>();
  for (const name of listFolder(folder).sort()) {
    const [, number, packed] = PAGE_FILE.exec(name) ?? [];
    const cpu = Number(number ?? Number.NaN);
    if (Number.isNaN(cpu) || files.has(cpu)) continue;
    files.set(cpu, cpuFile(cpu, join(folder, name), packed === 'gz' || packed === 'zst' ? packed : undefined));
  }
  return inOrder([...files.values()]);
}

/** The file that the pages at this path belong to: `trace.dat` for `trace.dat.cpu0`; undefined for other files. */
export function leftoverOf(path: string): string | undefined {
  const name = LEFTOVER.exec(basename(path))?.[1];
  return name === undefined ? undefined : join(dirname(path), name);
}

/** The pages that were to become the file at `path`, in the order of the CPUs' numbers. */
export function leftoverFiles(path: string): CpuFile[] {
  const folder = dirname(path);
  const files = tryListFolder(folder).flatMap((name) => {
    const [, base, cpu] = LEFTOVER.exec(name) ?? [];
    return base === basename(path) ? [cpuFile(Number(cpu), join(folder, name), undefined)] : [];
  });
  return inOrder(files);
}

export function pagesOf({ cpu, path, packing }: CpuFile, pageSize: number): CpuPages {
  return { cpu, pageSize, chunks: (onRead) => readChunks(path, packing, onRead) };
}

export function totalSize(files: readonly CpuFile[]): number {
  return files.reduce((sum, { size }) => sum + size, 0);
}

function cpuFile(cpu: number, path: string, packing: Packing): CpuFile {
  try {
    return { cpu, path, packing, size: statSync(path).size };
  } catch (error) {
    throw fileError(path, error);
  }
}

function inOrder(files: CpuFile[]): CpuFile[] {
  return files.sort((a, b) => a.cpu - b.cpu);
}

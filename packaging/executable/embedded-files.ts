/**
 * Takes the place of src/system/program/program-files.ts in the self-contained executable: the files are inside, under
 * the same paths, and are read from memory. Nothing is unpacked to a temporary folder.
 */
import { getRawAsset } from 'node:sea';
import type { WorkerOptions } from 'node:worker_threads';
import type * as folderFiles from '../../src/system/program/program-files.js';
import { LICENCES, PATHS, SOURCE_MAP } from './embedded-paths.js';
import { withSourceLines as withLines } from './source-lines.js';

const paths: readonly string[] = JSON.parse(readProgramFile(PATHS).toString('utf8'));

export function readProgramFile(path: string): Buffer {
  return Buffer.from(getRawAsset(path) as ArrayBuffer);
}

export function listProgramFolder(folder: string): string[] {
  const start = `${folder}/`;
  const below = paths.filter((path) => path.startsWith(start)).map((path) => path.slice(start.length));
  return [...new Set(below.map((path) => path.split('/')[0] ?? ''))];
}

export function readPackageFile(name: string, path: string): Buffer {
  return readProgramFile(`node_modules/${name}/${path}`);
}

/** The bundler puts the package where `require` is, and runs its code with the first call. */
export function requireYaml(): typeof import('yaml') {
  return require('yaml');
}

export function workerProgram(path: string): readonly [program: string, options: WorkerOptions] {
  return [readProgramFile(path).toString('utf8'), { eval: true }];
}

export function withSourceLines(stack: string): string {
  return withLines(stack, () => readProgramFile(SOURCE_MAP).toString('utf8'));
}

export function licences(): string {
  return readProgramFile(LICENCES).toString('utf8');
}

/** The same functions, or this does not compile. */
({
  readProgramFile,
  listProgramFolder,
  readPackageFile,
  requireYaml,
  workerProgram,
  withSourceLines,
  licences,
}) satisfies Record<keyof typeof folderFiles, unknown>;

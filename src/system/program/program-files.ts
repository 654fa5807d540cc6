/**
 * Files that come with the program, by their path in the package: in the folder that the code is in. The self-contained
 * executable has packaging/executable/embedded-files.ts in place of this module, and no folder.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { WorkerOptions } from 'node:worker_threads';

const require = createRequire(import.meta.url);
/** import.meta.dirname would keep a Node.js that is too old for it from running `check`, which reports that. */
const ROOT = fileURLToPath(new URL('../../../..', import.meta.url));

export function readProgramFile(path: string): Buffer {
  return readFileSync(join(ROOT, path));
}

/** Names of the files in a folder. */
export function listProgramFolder(folder: string): string[] {
  return readdirSync(join(ROOT, folder));
}

/** A file of an npm package that the program needs. */
export function readPackageFile(name: string, path: string): Buffer {
  return readFileSync(join(dirname(require.resolve(`${name}/package.json`)), path));
}

/** Loads a package when it is needed, without waiting. */
export function requireYaml(): typeof import('yaml') {
  return require('yaml');
}

/** What a Worker is started with that runs this file of the program. */
export function workerProgram(path: string): readonly [program: URL | string, options: WorkerOptions] {
  return [pathToFileURL(join(ROOT, path)), {}];
}

/** Node.js has done it, if it was started with --enable-source-maps. */
export function withSourceLines(stack: string): string {
  return stack;
}

/** The licences of the program and of everything that is in it. */
export function licences(): string {
  const folder = join(ROOT, 'node_modules');
  return `${readProgramFile('LICENSE').toString('utf8')}\nThe packages that the program uses are below ${folder}, each with its licence.\n`;
}

/** Places that the packager reads and writes, found from its compiled files in build/packaging. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The folder that holds package.json. */
export const ROOT = join(import.meta.dirname, '../..');
/** Everything that the packager makes. */
export const OUTPUT = join(ROOT, 'build/package');

export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly license?: string;
  readonly description: string;
}

export function readManifest(folder: string): Manifest {
  return JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));
}

export const { name: NAME, version: VERSION, description: DESCRIPTION } = readManifest(ROOT);
/** Seconds since 1970 that stand in place of the time of the build, so that two builds are equal. */
export const SOURCE_DATE_EPOCH = process.env.SOURCE_DATE_EPOCH ?? '1767225600';

import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { OUTPUT } from '../paths.js';

/** Writes SHA256SUMS, as sha256sum --check reads it, and returns its path. */
export function writeChecksums(files: readonly string[]): string {
  const line = (path: string) =>
    `${createHash('sha256').update(readFileSync(path)).digest('hex')}  ${basename(path)}\n`;
  const output = join(OUTPUT, 'SHA256SUMS');
  writeFileSync(output, [...files].sort().map(line).join(''));
  return output;
}

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { errnoOf } from '../../system/errors.js';
import { namePattern } from '../../system/name-pattern.js';

/** Characters that make a part of a path a pattern. */
const WILDCARDS = /[*?[]/;

/**
 * The paths that match a shell pattern: `*`, `?` and `[a-z]` within each part. As in a shell, a leading dot must be
 * written out. A path without wildcards is returned as it is, whether it exists or not.
 * @param onError called for each folder that cannot be listed
 */
export function expandGlob(pattern: string, onError: (path: string, error: unknown) => void = () => {}): string[] {
  const parts = pattern.split('/');
  let paths = [pattern.startsWith('/') ? '/' : ''];
  for (const part of parts) {
    if (part === '') continue;
    if (WILDCARDS.test(part)) paths = paths.flatMap((folder) => matching(folder, part, onError));
    else paths = paths.map((folder) => join(folder, part));
  }
  return WILDCARDS.test(pattern) ? paths.filter((path) => existsSync(path)) : paths;
}

function matching(folder: string, part: string, onError: (path: string, error: unknown) => void): string[] {
  const isMatch = namePattern(part);
  try {
    return readdirSync(folder === '' ? '.' : folder)
      .filter((name) => isMatch(name) && (!name.startsWith('.') || part.startsWith('.')))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    if (errnoOf(error) !== 'ENOTDIR') onError(folder, error);
    return [];
  }
}

/** The folder that a pattern names before its first wildcard; of a path without wildcards, the folder of the file. */
export function fixedFolder(pattern: string): string {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => WILDCARDS.test(part));
  const folder = parts.slice(0, first < 0 ? -1 : first).join('/');
  return folder !== '' ? folder : pattern.startsWith('/') ? '/' : '.';
}

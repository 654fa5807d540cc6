import { existsSync, opendirSync } from 'node:fs';
import { join } from 'node:path';
import { AgentError, errnoOf } from '../../system/errors.js';
import { namePattern } from '../../system/name-pattern.js';

/** Characters that make a part of a path a pattern. */
const WILDCARDS = /[*?[]/;
/** Entries of folders that one look at a pattern reads, at 2 us each: any user may fill a folder with folders. */
const MAX_ENTRIES = 20_000;
/** Entries in whose time a folder is opened, and a file is looked for. */
const FOLDER_COST = 8;
const FILE_COST = 3;

/**
 * The paths that match a shell pattern: `*`, `?` and `[a-z]` within each part. As in a shell, a leading dot must be
 * written out. A path without wildcards is returned as it is, whether it exists or not.
 * @param onError called for each folder that cannot be listed, or whose entries were not all read
 */
export function expandGlob(pattern: string, onError: (path: string, error: unknown) => void = () => {}): string[] {
  const parts = pattern.split('/');
  let paths = [pattern.startsWith('/') ? '/' : ''];
  let left = MAX_ENTRIES;
  let isCut = false;
  const spend = (cost: number) => {
    left -= cost;
    if (left > 0 || isCut) return;
    isCut = true;
    const folder = fixedFolder(pattern);
    onError(folder, new AgentError(`${folder}: only ${MAX_ENTRIES} entries were looked at`));
  };
  const matching = (folder: string, part: string): string[] => {
    try {
      spend(FOLDER_COST);
      const { names, read } = entries(folder === '' ? '.' : folder, part, left);
      spend(read);
      return names.map((name) => join(folder, name));
    } catch (error) {
      if (errnoOf(error) !== 'ENOTDIR') onError(folder, error);
      return [];
    }
  };
  for (const part of parts) {
    if (part === '') continue;
    if (WILDCARDS.test(part)) paths = paths.flatMap((folder) => (left > 0 ? matching(folder, part) : []));
    else paths = paths.map((folder) => join(folder, part));
  }
  // What a listing has shown exists.
  const isListed = WILDCARDS.test(parts.findLast((part) => part !== '') ?? '');
  if (isListed || !WILDCARDS.test(pattern)) return paths;
  return paths.filter((path) => {
    if (left > 0) spend(FILE_COST);
    return left > 0 && existsSync(path);
  });
}

/** Names in a folder that match, sorted, and how many entries were read. */
function entries(folder: string, part: string, most: number): { readonly names: string[]; readonly read: number } {
  const isMatch = namePattern(part);
  const names: string[] = [];
  let read = 0;
  const listing = opendirSync(folder, { bufferSize: 256 });
  try {
    for (let entry = listing.readSync(); entry !== null && read < most; entry = listing.readSync()) {
      read++;
      const { name } = entry;
      if (isMatch(name) && (!name.startsWith('.') || part.startsWith('.'))) names.push(name);
    }
  } finally {
    listing.closeSync();
  }
  return { names: names.sort(), read };
}

/** The folder that a pattern names before its first wildcard; of a path without wildcards, the folder of the file. */
export function fixedFolder(pattern: string): string {
  const parts = pattern.split('/');
  const first = parts.findIndex((part) => WILDCARDS.test(part));
  const folder = parts.slice(0, first < 0 ? -1 : first).join('/');
  return folder !== '' ? folder : pattern.startsWith('/') ? '/' : '.';
}

import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Characters that make a part of a path a pattern. */
const MAGIC = /[*?[]/;

/**
 * Paths that a shell's pattern names: `*`, `?` and `[a-z]` within each part. As in a shell, a leading dot must be
 * spelled out. A path without a pattern is given as it is, there or not. What can't be listed is told to `onError`.
 */
export function expandGlob(pattern: string, onError: (path: string, error: unknown) => void = () => {}): string[] {
  const parts = pattern.split('/');
  let paths = [pattern.startsWith('/') ? '/' : ''];
  for (const part of parts) {
    if (part === '') continue;
    if (MAGIC.test(part)) paths = paths.flatMap((folder) => matching(folder, part, onError));
    else paths = paths.map((folder) => join(folder, part));
  }
  return MAGIC.test(pattern) ? paths.filter((path) => existsSync(path)) : paths;
}

function matching(folder: string, part: string, onError: (path: string, error: unknown) => void): string[] {
  const regex = globRegex(part);
  try {
    return readdirSync(folder === '' ? '.' : folder)
      .filter((name) => regex.test(name) && (!name.startsWith('.') || part.startsWith('.')))
      .sort()
      .map((name) => join(folder, name));
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : '';
    if (code !== 'ENOTDIR') onError(folder, error);
    return [];
  }
}

/** The pattern for a whole word. */
export function globRegex(pattern: string): RegExp {
  const source = pattern.replaceAll(/\[(!?)([^\]]+)\]|[\s\S]/g, (token, not: string | undefined, set: string) => {
    if (not !== undefined) return `[${not === '' ? '' : '^'}${set.replaceAll(/[\\^[]/g, '\\$&')}]`;
    if (token === '*') return '[^/]*';
    if (token === '?') return '[^/]';
    return token.replace(/[\\^$.*+?()[\]{}|]/, '\\$&');
  });
  return new RegExp(`^${source}$`);
}

import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { InstalledFile } from './installed-files.js';

/** Writes files below a new folder, whose own folders anyone may read. */
export function writeTree(root: string, files: readonly InstalledFile[]): void {
  rmSync(root, { recursive: true, force: true });
  for (const { path, mode, content } of files) {
    const to = join(root, path);
    const created = mkdirSync(dirname(to), { recursive: true, mode: 0o755 });
    // The umask of the build does not decide what is in a package.
    if (created !== undefined)
      for (let at = dirname(to); at.length >= created.length; at = dirname(at)) chmodSync(at, 0o755);
    writeFileSync(to, content);
    chmodSync(to, mode);
  }
}

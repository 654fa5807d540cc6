import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';

/** Creates a folder that is removed when the test ends. */
export function temporaryFolder(t: TestContext, name: string): string {
  const path = mkdtempSync(join(tmpdir(), `${name}-`));
  t.after(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

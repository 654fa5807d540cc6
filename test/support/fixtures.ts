/** Test data below test/fixtures, found from the package's root: compiled tests run from build/test. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';

export const ROOT = join(import.meta.dirname, '../../..');

/** Absolute path of a fixture; of its packed form where only `path.gz` is kept. */
export function fixture(path: string): string {
  const file = join(ROOT, 'test/fixtures', path);
  return existsSync(file) || !existsSync(`${file}.gz`) ? file : `${file}.gz`;
}

/** A fixture's content, unpacked. */
export function readFixture(path: string): Buffer {
  const file = fixture(path);
  const content = readFileSync(file);
  return file.endsWith('.gz') ? gunzipSync(content) : content;
}

/** A fixture in JSON. */
export function readJson<T>(path: string): T {
  return JSON.parse(readFixture(path).toString('utf8'));
}

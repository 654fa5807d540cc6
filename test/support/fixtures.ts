/** Test data of test/fixtures. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { ROOT } from './paths.js';

/** Absolute path of a fixture, or of its compressed form if only `path.gz` exists. */
export function fixture(path: string): string {
  const file = join(ROOT, 'test/fixtures', path);
  return existsSync(file) || !existsSync(`${file}.gz`) ? file : `${file}.gz`;
}

/** Content of a fixture, uncompressed. */
export function readFixture(path: string): Buffer {
  const file = fixture(path);
  const content = readFileSync(file);
  return file.endsWith('.gz') ? gunzipSync(content) : content;
}

/** A JSON fixture, parsed. */
export function readJson<T>(path: string): T {
  return JSON.parse(readFixture(path).toString('utf8'));
}
